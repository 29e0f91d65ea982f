"""Corpora and their examples."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, BigId, words


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


class Corpus(Base):
    """A named, versioned collection of examples of one kind; not ready until wholly imported."""

    __tablename__ = "corpora"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    kind: Mapped[CorpusKind] = mapped_column(words(CorpusKind))
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
    split: Mapped[Split] = mapped_column(words(Split))
    line: Mapped[int]  # in the file it came from
    content: Mapped[dict[str, Any]]
