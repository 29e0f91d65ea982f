"""The pieces of a job that several workers work on at once."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, words


class PieceStatus(StrEnum):
    """Where a piece stands; the last two are end states."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Piece(Base):
    """Some documents of a job; like a job it has a lease, and every write names its attempt."""

    __tablename__ = "pieces"
    __table_args__ = (Index(None, "job_id", "status"),)

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # from 0
    documents: Mapped[list[str]] = mapped_column(JSON)  # their ids
    status: Mapped[PieceStatus] = mapped_column(words(PieceStatus), default=PieceStatus.WAITING)
    attempt: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)  # of its workers
    lease_until: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(String(128))
    counts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # once done
    error: Mapped[str | None]
