"""Documents, and the pairs of question and answer made from them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, words


class ReviewState(StrEnum):
    """What a person thought of a generated pair."""

    NEW = "new"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EDITED = "edited"


class Document(Base):
    """A text that questions are asked about; ``text`` is read only where it is asked for."""

    __tablename__ = "documents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title: Mapped[str]
    text: Mapped[str] = mapped_column(Text, deferred=True, deferred_raiseload=True)
    language: Mapped[str | None] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)  # of the text
    name: Mapped[str | None]  # of its file; none where it came without one
    format: Mapped[str] = mapped_column(String(16), server_default="text")
    bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")  # of its file
    length: Mapped[int] = mapped_column(server_default="0")  # of the text, in characters
    created_at: Mapped[datetime]


class GeneratedPair(Base):
    """A question and its answer, which is ``text[answer_start:answer_end]`` of its document.

    What a person made of it stands beside it, all four or none, and is such a slice too.
    """

    __tablename__ = "generated_pairs"
    __table_args__ = (
        UniqueConstraint(
            "job_id",
            "document_id",
            "answer_start",
            "answer_end",
            "rank",
            name="uq_generated_pairs_place",  # the usual one is longer than PostgreSQL allows
        ),
        Index(None, "document_id", "answer_start", "id"),
        Index(None, "review"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)  # follows from what it is: pairs.identify
    job_id: Mapped[UUID | None] = mapped_column(  # none: it was brought in
        ForeignKey("jobs.id", ondelete="CASCADE")
    )
    document_id: Mapped[UUID] = mapped_column(ForeignKey("documents.id", ondelete="RESTRICT"))
    rank: Mapped[int] = mapped_column(server_default="0")  # among the questions of one span
    question: Mapped[str]
    answer: Mapped[str]
    answer_start: Mapped[int]  # in characters
    answer_end: Mapped[int]
    edited_question: Mapped[str | None]
    edited_answer: Mapped[str | None]
    edited_start: Mapped[int | None]
    edited_end: Mapped[int | None]
    scores: Mapped[dict[str, Any]]
    review: Mapped[ReviewState] = mapped_column(words(ReviewState), default=ReviewState.NEW)
    reviewed_by: Mapped[str | None] = mapped_column(String(128))
    reviewed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
