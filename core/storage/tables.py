"""What is kept. The rows are the truth; queue messages are only doorbells."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only in INTEGER keys


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets time zones, so they are put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse moments that do not say their zone."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored moment needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say the zone that was meant."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _words(kind: type[StrEnum]) -> Enum:
    return Enum(
        kind,
        native_enum=False,
        length=16,
        values_callable=lambda words: [word.value for word in words],
    )


class Base(DeclarativeBase):
    """The metadata that the migrations must equal."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime(), dict[str, Any]: JSON(), str: Text()}  # noqa: RUF012 (SQLAlchemy reads it from the class)


class CorpusKind(StrEnum):
    """What one example of a corpus is."""

    PAIRS = "pairs"
    DIALOGUES = "dialogues"
    TEXT = "text"
    PASSAGES = "passages"


class Split(StrEnum):
    """What an example is for."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


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


class AliasAction(StrEnum):
    """How an alias came to point where it points."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


class Role(StrEnum):
    """Who speaks in a conversation."""

    USER = "user"
    ASSISTANT = "assistant"


class ReviewState(StrEnum):
    """What a person thought of a generated pair."""

    NEW = "new"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EDITED = "edited"


class Corpus(Base):
    """A named, versioned collection of examples of one kind; not ready until wholly imported."""

    __tablename__ = "corpora"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    kind: Mapped[CorpusKind] = mapped_column(_words(CorpusKind))
    source_language: Mapped[str | None] = mapped_column(String(16))
    target_language: Mapped[str | None] = mapped_column(String(16))
    licence: Mapped[str | None]
    sha256: Mapped[str] = mapped_column(String(64))  # of the file it came from
    bytes: Mapped[int] = mapped_column(BigInteger)
    train_count: Mapped[int] = mapped_column(default=0)
    valid_count: Mapped[int] = mapped_column(default=0)
    test_count: Mapped[int] = mapped_column(default=0)
    bad_lines: Mapped[int] = mapped_column(default=0)  # left out at import, within the limit
    ready: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class Example(Base):
    """One example; ``content`` is ``{source, target}`` or ``{turns}``, as the corpus kind says."""

    __tablename__ = "examples"
    __table_args__ = (Index(None, "corpus_id", "split", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    corpus_id: Mapped[UUID] = mapped_column(ForeignKey("corpora.id", ondelete="CASCADE"))
    split: Mapped[Split] = mapped_column(_words(Split))
    line: Mapped[int]  # in the file it came from
    content: Mapped[dict[str, Any]]


class Job(Base):
    """One piece of queued work; its lease makes a second doorbell harmless."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "status", "lease_until"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    kind: Mapped[JobKind] = mapped_column(_words(JobKind))
    corpus_id: Mapped[UUID] = mapped_column(ForeignKey("corpora.id", ondelete="RESTRICT"))
    spec: Mapped[dict[str, Any]]  # enough to repeat the job
    status: Mapped[JobStatus] = mapped_column(_words(JobStatus), default=JobStatus.QUEUED)
    priority: Mapped[int] = mapped_column(default=0)  # higher goes first
    attempt: Mapped[int] = mapped_column(default=0)  # checked at every write: a late worker stops
    deaths: Mapped[int] = mapped_column(default=0)  # of its workers, since it last advanced
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
    kind: Mapped[EventKind] = mapped_column(_words(EventKind))
    step: Mapped[int | None]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Snapshot(Base):
    """Where a job can be taken up again: the newest training state, one for each job."""

    __tablename__ = "snapshots"

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    attempt: Mapped[int]
    step: Mapped[int]
    blob_key: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]


class Checkpoint(Base):
    """A finished model: one bundle file with its weights, tokenizer, spec and report."""

    __tablename__ = "checkpoints"
    __table_args__ = (Index(None, "job_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="RESTRICT"))
    step: Mapped[int]
    spec: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    report: Mapped[dict[str, Any]]
    blob_key: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]


class Alias(Base):
    """A name that people call, pointing to a checkpoint."""

    __tablename__ = "aliases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    checkpoint_id: Mapped[UUID] = mapped_column(ForeignKey("checkpoints.id", ondelete="RESTRICT"))
    updated_at: Mapped[datetime]

    checkpoint: Mapped[Checkpoint] = relationship(lazy="raise")


class AliasChange(Base):
    """One turn in the history of an alias."""

    __tablename__ = "alias_changes"
    __table_args__ = (Index(None, "name", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(ForeignKey("aliases.name", ondelete="CASCADE"))
    action: Mapped[AliasAction] = mapped_column(_words(AliasAction))
    checkpoint_id: Mapped[UUID] = mapped_column(ForeignKey("checkpoints.id", ondelete="RESTRICT"))
    created_at: Mapped[datetime]


class Conversation(Base):
    """A talk with one model that remembers its turns."""

    __tablename__ = "conversations"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    model: Mapped[str] = mapped_column(String(64))  # alias or checkpoint id
    created_at: Mapped[datetime]


class Turn(Base):
    """One thing said in a conversation."""

    __tablename__ = "turns"
    __table_args__ = (UniqueConstraint("conversation_id", "position"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    conversation_id: Mapped[UUID] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE")
    )
    position: Mapped[int]
    role: Mapped[Role] = mapped_column(_words(Role))
    text: Mapped[str]
    score: Mapped[float | None]
    created_at: Mapped[datetime]


class IdempotencyKey(Base):
    """A request that a client may send again, and what it was answered once that is certain."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))  # sha256 of what was asked
    holder: Mapped[UUID]  # which of those that sent it is worked on
    held_until: Mapped[datetime]  # a request whose process died is free again after this
    status: Mapped[int | None]  # none while it is worked on
    location: Mapped[str | None]
    body: Mapped[str | None]
    created_at: Mapped[datetime]


class Document(Base):
    """A text that questions are asked about."""

    __tablename__ = "documents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title: Mapped[str]
    text: Mapped[str]
    language: Mapped[str | None] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]


class GeneratedPair(Base):
    """A question and its answer, which is ``text[answer_start:answer_end]`` of its document."""

    __tablename__ = "generated_pairs"
    __table_args__ = (
        UniqueConstraint("job_id", "document_id", "answer_start", "answer_end"),
        Index(None, "document_id"),
        Index(None, "review"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    document_id: Mapped[UUID] = mapped_column(ForeignKey("documents.id", ondelete="RESTRICT"))
    question: Mapped[str]
    answer: Mapped[str]
    answer_start: Mapped[int]  # in characters
    answer_end: Mapped[int]
    scores: Mapped[dict[str, Any]]
    review: Mapped[ReviewState] = mapped_column(_words(ReviewState), default=ReviewState.NEW)
    reviewed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
