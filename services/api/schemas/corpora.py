"""Corpora and their examples."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import UploadFile
from pydantic import ConfigDict, Field, model_validator

from core.data.columns import Columns, Key
from core.pipelines.importing import ImportRequest
from core.storage.tables import CorpusKind, Split
from services.api.schemas.fields import Body, Label, Language, NewName, Request

LARGEST_COUNT = 2**31 - 1


class CorpusUpload(Request):
    """One or more files, and how to read them."""

    file: list[UploadFile] = Field(
        min_length=1, max_length=100, description="One or more files, read one after the other."
    )
    name: NewName = Field(
        description="A name that is taken gets a new version.", examples=["helpdesk"]
    )
    kind: CorpusKind = Field(examples=["pairs"])
    format: Literal["csv", "tsv", "jsonl", "text", "squad"] | None = Field(
        default=None, description="As the end of each file's name says, if left out."
    )
    source: Label | None = Field(
        default=None,
        description="Column that is read: its name, or its number from 1; of text, where it is.",
        examples=["question"],
    )
    target: Label | None = Field(
        default=None, description="Column that is to be written.", examples=["answer"]
    )
    turns: Label | None = Field(default=None, description="Where a dialogue keeps its turns.")
    subject: Label | None = Field(
        default=None, description="Column of a mail's subject; it goes before what is read."
    )
    split: Label | None = Field(
        default=None,
        description="Column that says train, valid or test; by the shares below if left out.",
    )
    header: bool | None = Field(
        default=None, description="Whether the first row is one; guessed if left out."
    )
    source_language: Language | None = Field(default=None, examples=["ko"])
    target_language: Language | None = Field(default=None, examples=["ko"])
    licence: Label | None = Field(default=None, examples=["CC0-1.0"])
    bad_line_limit: int | None = Field(
        default=None,
        ge=0,
        le=LARGEST_COUNT,
        description="How many unreadable lines may be left out; one in a thousand if left open.",
    )
    valid_share: float = Field(
        default=0.05, ge=0, lt=1, description="Of the sources; of running text, part of its end."
    )
    test_share: float = Field(default=0.05, ge=0, lt=1)

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> "CorpusUpload":
        if self.valid_share + self.test_share >= 1:
            raise ValueError("valid_share and test_share leave nothing to train on")
        return self

    def request(self) -> ImportRequest:
        """Return what the import is told; a column that is only digits is a number from 1."""
        columns = Columns(
            source=_key(self.source),
            target=_key(self.target),
            turns=self.turns,
            subject=_key(self.subject),
            split=_key(self.split),
        )
        told = self.model_dump(exclude={"file", "kind", *Columns.model_fields})
        return ImportRequest(kind=self.kind.value, columns=columns, **told)


def _key(column: str | None) -> Key | None:
    if column is not None and column.isascii() and column.isdigit():
        return int(column)
    return column


class CorpusBody(Body):
    """A named, versioned collection of examples of one kind."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0b6f3f0e-6a3c-4a0e-9a39-4f5f1d0c7a11",
                    "name": "helpdesk",
                    "version": 2,
                    "kind": "pairs",
                    "source_language": "ko",
                    "target_language": "ko",
                    "licence": "CC0-1.0",
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "bytes": 48211,
                    "train_count": 1802,
                    "valid_count": 99,
                    "test_count": 99,
                    "bad_lines": 0,
                    "created_at": "2025-03-01T09:00:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    version: int
    kind: CorpusKind
    source_language: str | None
    target_language: str | None
    licence: str | None
    sha256: str
    bytes: int
    train_count: int
    valid_count: int
    test_count: int
    bad_lines: int
    created_at: datetime


class ExampleBody(Body):
    """One example, its ``content`` by its kind.

    That is ``{source, target}``, ``{turns}``, ``{text}`` or ``{title, context, questions}``.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 17,
                    "split": "train",
                    "line": 18,
                    "content": {"source": "How do I reset it?", "target": "Hold the button."},
                }
            ]
        }
    )

    id: int
    split: Split
    line: int
    content: dict[str, Any]


class ExamplePage(Body):
    """Examples in file order; ``next`` goes into ``after``."""

    data: list[ExampleBody]
    next: int | None = None
