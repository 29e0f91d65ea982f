"""Documents and their passages."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import UploadFile
from pydantic import ConfigDict, Field, StringConstraints

from core.data.documents import MAX_CHARACTERS, Format
from core.specs import PassageSpec
from services.api.schemas.fields import Body, Label, Language, Request, Storable

LARGEST_PLACE = 2**31 - 1


class DocumentUpload(Request):
    """One or more files, each with one document or several."""

    file: list[UploadFile] = Field(
        min_length=1,
        max_length=100,
        description="Text, Markdown, HTML, PDF, SQuAD or KorQuAD JSON, or JSON lines with a text.",
    )
    format: Format | None = Field(
        default=None, description="As the end of each file's name says, if left out."
    )
    title: Label | None = Field(default=None, description="Of a single document.")
    language: Language | None = Field(
        default=None, description="Of documents that do not say it themselves.", examples=["ko"]
    )


class DocumentRequest(Request):
    """A text by itself."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"title": "Opening hours", "text": "We open at nine."}]}
    )

    text: Annotated[Storable, StringConstraints(min_length=1, max_length=MAX_CHARACTERS)]
    title: Label | None = None
    language: Language | None = None
    format: Literal["text", "markdown", "html"] = "text"


_DOCUMENT: dict[str, Any] = {
    "id": "8c1d2b54-9a0e-4c58-8a0b-7f3c6d1e2f90",
    "title": "Opening hours",
    "language": "en",
    "name": "hours.md",
    "format": "markdown",
    "bytes": 812,
    "length": 790,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "created_at": "2025-03-01T09:00:00Z",
}


class DocumentBody(Body):
    """A text that questions are asked about, without the text."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DOCUMENT]})

    id: UUID
    title: str
    language: str | None
    name: str | None = Field(description="Of the file it came in, and which part of it.")
    format: str
    bytes: int = Field(description="Of that file.")
    length: int = Field(description="Of the text, in characters.")
    sha256: str = Field(description="Of the text.")
    created_at: datetime


class DocumentDetail(DocumentBody):
    """A document with its text, of which all offsets count the characters."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_DOCUMENT, "text": "We open at nine."}]}
    )

    text: str


class DocumentsBody(Body):
    """What became of an upload; a text that was there already is not doubled."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [_DOCUMENT], "new": 1, "known": 0}]}
    )

    data: list[DocumentBody]
    new: int = Field(description="How many of them were not there before.")
    known: int


class PassageQuery(Request):
    """How a document is to be cut, and which of the passages to list."""

    max_characters: int = Field(default=1000, ge=16, le=100_000)
    max_words: int | None = Field(default=None, ge=4, le=LARGEST_PLACE)
    min_characters: int = Field(
        default=60, ge=0, le=LARGEST_PLACE, description="What is shorter goes with what follows."
    )
    overlap: int = Field(default=0, ge=0, le=16, description="Sentences that the next one repeats.")
    after: int = Field(default=0, ge=0, le=LARGEST_PLACE, description="`next` of a page.")
    limit: int = Field(default=50, ge=1, le=200)

    def spec(self) -> PassageSpec:
        """Return how to cut."""
        return PassageSpec.model_validate(self.model_dump(exclude={"after", "limit"}))


class PassageBody(Body):
    """A slice of a document."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"start": 0, "end": 16, "text": "We open at nine."}]}
    )

    start: int
    end: int
    text: str


class PassagePage(Body):
    """Passages in their order; ``next`` goes into ``after``."""

    data: list[PassageBody]
    next: int | None = None
