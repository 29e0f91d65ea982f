"""Answers that people kept: who gives them, what is looked for, what is found."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from core.specs import KeptSpec
from core.specs.kept import LOWEST
from core.storage.pairs import MAX_QUESTION
from services.api.schemas.fields import Body, Request, Storable

if TYPE_CHECKING:
    from core.pipelines.known import Found


class KeptRequest(Request, KeptSpec):
    """Which answers that people kept a name gives before its model is asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"least": 0.9, "document_id": "8c1d2b54-9a0e-4c58-8a0b-7f3c6d1e2f90"}]
        }
    )


class NearestQuery(Request, KeptSpec):
    """A question, and which answers that people kept to look through."""

    question: Annotated[Storable, StringConstraints(min_length=1, max_length=MAX_QUESTION)]
    least: float = Field(default=LOWEST, ge=LOWEST, le=1, description="How alike, at least.")
    limit: int = Field(default=5, ge=1, le=50)


_SOURCE: dict[str, Any] = {
    "pair_id": "4f2d8e6b-0c1a-5b7d-9e3f-1a2b3c4d5e6f",
    "document_id": "8c1d2b54-9a0e-4c58-8a0b-7f3c6d1e2f90",
    "title": "Opening hours",
    "question": "When is it open?",
    "answer": "nine",
    "answer_start": 11,
    "answer_end": 15,
    "similarity": 0.91,
}


class KeptBody(Body):
    """The pair that answers, and where its answer stands in which document."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SOURCE]})

    pair_id: UUID
    document_id: UUID
    title: str
    question: str
    answer: str
    answer_start: int
    answer_end: int
    similarity: float = Field(description="Of what was asked to the question: 1 is the same.")


def kept_body(found: "Found") -> KeptBody:
    """Return what a kept answer looks like to a client."""
    names = KeptBody.model_fields.keys() - {"similarity"}
    told = {name: getattr(found.kept, name) for name in names}
    return KeptBody(**told, similarity=found.similarity)


class NearestBody(Body):
    """Kept answers, the most alike first; there is never a next page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_SOURCE], "next": None}]})

    data: list[KeptBody]
    next: None = None
