"""Jobs, what happened in them, and where they can be taken up again."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.storage.tables.base import Base, BigId, words
from core.storage.tables.corpora import Corpus


class JobKind(StrEnum):
    """What a job does."""

    TRAIN = "train"


class JobStatus(StrEnum):
    """Where a job stands; the last three are end states."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


class EventKind(StrEnum):
    """What a job event tells: a change of state, a word to the reader, or figures at a step."""

    STATE = "state"
    LOG = "log"
    METRICS = "metrics"


class Job(Base):
    """One piece of queued work; its lease makes a second doorbell harmless."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "status", "lease_until"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    kind: Mapped[JobKind] = mapped_column(words(JobKind))
    corpus_id: Mapped[UUID] = mapped_column(ForeignKey("corpora.id", ondelete="RESTRICT"))
    spec: Mapped[dict[str, Any]]  # enough to repeat the job
    status: Mapped[JobStatus] = mapped_column(words(JobStatus), default=JobStatus.QUEUED)
    priority: Mapped[int] = mapped_column(default=0)  # higher goes first
    attempt: Mapped[int] = mapped_column(default=0)  # checked at every write: a late worker stops
    deaths: Mapped[int] = mapped_column(default=0)  # of its workers, since it last advanced
    expiries: Mapped[int] = mapped_column(default=0, server_default=text("0"))  # of its leases
    lease_until: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(String(128))
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    pause_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    corpus: Mapped[Corpus] = relationship(lazy="raise")


class JobEvent(Base):
    """Something that happened in a job; ids only grow, so a reader can go on where it was."""

    __tablename__ = "job_events"
    __table_args__ = (Index(None, "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    kind: Mapped[EventKind] = mapped_column(words(EventKind))
    step: Mapped[int | None]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Snapshot(Base):
    """Where a job can be taken up again: one of its newest training states."""

    __tablename__ = "snapshots"

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    attempt: Mapped[int]
    blob_key: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
