"""Finished models, and the names that people call them by."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.storage.tables.base import Base, BigId, words


class AliasAction(StrEnum):
    """How an alias came to point where it points."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


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
    kept: Mapped[dict[str, Any] | None] = mapped_column(  # a KeptSpec; none: a model answers all
        JSON(none_as_null=True)
    )

    checkpoint: Mapped[Checkpoint] = relationship(lazy="raise")


class AliasChange(Base):
    """One turn in the history of an alias."""

    __tablename__ = "alias_changes"
    __table_args__ = (Index(None, "name", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(ForeignKey("aliases.name", ondelete="CASCADE"))
    action: Mapped[AliasAction] = mapped_column(words(AliasAction))
    checkpoint_id: Mapped[UUID] = mapped_column(ForeignKey("checkpoints.id", ondelete="RESTRICT"))
    created_at: Mapped[datetime]
