"""Documents, and the pairs of question and answer made from them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, words


class ReviewState(StrEnum):
    """What a person thought of a generated pair."""

    NEW = "new"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EDITED = "edited"


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
    review: Mapped[ReviewState] = mapped_column(words(ReviewState), default=ReviewState.NEW)
    reviewed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
