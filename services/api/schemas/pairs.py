"""Pairs of question and answer, and what people make of them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import UploadFile
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from core.data.exports import ExportFormat
from core.pipelines.importing import ImportRequest
from core.storage.pairs import MAX_QUESTION, SCORE_NAME, PairFilter
from core.storage.reviews import KEPT
from core.storage.tables import GeneratedPair, ReviewState
from services.api.schemas.fields import Body, Label, Language, NewName, Request, Storable

LARGEST_PLACE = 2**31 - 1
Place = Annotated[int, Field(ge=0, le=LARGEST_PLACE)]
Reviewer = Annotated[Storable, StringConstraints(min_length=1, max_length=128)]


class PairQuery(Request):
    """Which pairs are meant: those for which all that is told is true."""

    job_id: UUID | None = None
    document_id: UUID | None = None
    review: list[ReviewState] | None = Field(default=None, description="Any of these states.")
    score: Annotated[str, StringConstraints(pattern=f"^{SCORE_NAME.pattern}$")] | None = Field(
        default=None, description="The name of a score, for `min_score`."
    )
    min_score: float | None = None
    text: Annotated[Storable, StringConstraints(max_length=200)] | None = Field(
        default=None, description="Somewhere in question or answer."
    )

    def filter(self) -> PairFilter:
        """Return what the storage is asked for."""
        told = self.model_dump(include={"job_id", "document_id", "score", "min_score", "text"})
        return PairFilter(**told, reviews=self.review or ())


class PairListQuery(PairQuery):
    """Which pairs to list."""

    after: UUID | None = Field(default=None, description="`next` of the page before this one.")
    limit: int = Field(default=50, ge=1, le=200)


class PairExportQuery(PairQuery):
    """Which pairs to write, and how; those that were accepted or edited, if nothing is told."""

    format: ExportFormat
    review: list[ReviewState] | None = Field(default=[*KEPT], description="Any of these states.")


class PairUpload(Request):
    """Pairs that a team has written, as JSON lines."""

    file: UploadFile = Field(
        description="A line has `document_id`, `question`, and `answer_start` and `answer_end` or "
        "an `answer` that the document has only once; `scores` may be there."
    )


class PairsAddedBody(Body):
    """What became of an upload of pairs."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"read": 12, "new": 11}]})

    read: int
    new: int = Field(description="How many of them were not there before.")


_EDIT: dict[str, Any] = {
    "question": "When do you open?",
    "answer": "at nine",
    "answer_start": 8,
    "answer_end": 15,
}
_PAIR: dict[str, Any] = {
    "id": "4f2d8e6b-0c1a-5b7d-9e3f-1a2b3c4d5e6f",
    "job_id": None,
    "document_id": "8c1d2b54-9a0e-4c58-8a0b-7f3c6d1e2f90",
    "rank": 0,
    "question": "When is it open?",
    "answer": "nine",
    "answer_start": 11,
    "answer_end": 15,
    "edited": _EDIT,
    "scores": {"round_trip": 0.92},
    "review": "edited",
    "reviewed_by": "kim",
    "reviewed_at": "2025-03-01T09:05:00Z",
    "created_at": "2025-03-01T09:00:00Z",
}


class EditBody(Body):
    """What a person made of a pair."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EDIT]})

    question: str
    answer: str
    answer_start: int
    answer_end: int


class PairBody(Body):
    """A question and its answer, a slice of the document's text counted in characters."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PAIR]})

    id: UUID
    job_id: UUID | None = Field(description="The job that made it; null if it was brought in.")
    document_id: UUID
    rank: int
    question: str
    answer: str
    answer_start: int
    answer_end: int
    edited: EditBody | None
    scores: dict[str, float]
    review: ReviewState
    reviewed_by: str | None
    reviewed_at: datetime | None
    created_at: datetime


def pair_body(pair: GeneratedPair) -> PairBody:
    """Return what a row looks like to a client."""
    told = {name: getattr(pair, name) for name in PairBody.model_fields if name != "edited"}
    edited = None
    if pair.edited_question is not None:
        edited = EditBody.model_validate(
            {
                "question": pair.edited_question,
                "answer": pair.edited_answer,
                "answer_start": pair.edited_start,
                "answer_end": pair.edited_end,
            }
        )
    return PairBody(**told, edited=edited)


class PairPage(Body):
    """Pairs, document by document in the order of their answers; ``next`` goes into ``after``."""

    data: list[PairBody]
    next: UUID | None = None


class PairCountsBody(Body):
    """How many pairs are in each state of review."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"new": 40, "accepted": 12, "rejected": 3, "edited": 5}]}
    )

    new: int
    accepted: int
    rejected: int
    edited: int


class ReviewRequest(Request):
    """A verdict, or an edit: what is told of question and place of the answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"review": "accepted", "reviewer": "kim"},
                {"question": "When do you open?", "answer_start": 8, "answer_end": 15},
            ]
        }
    )

    review: ReviewState | None = None
    question: Annotated[Storable, StringConstraints(max_length=MAX_QUESTION)] | None = None
    answer_start: Place | None = None
    answer_end: Place | None = None
    reviewer: Reviewer | None = None

    @property
    def edits(self) -> bool:
        """Whether something is to be edited."""
        return any(
            value is not None for value in (self.question, self.answer_start, self.answer_end)
        )

    @model_validator(mode="after")
    def _one_thing(self) -> "ReviewRequest":
        if self.edits and self.review not in (None, ReviewState.EDITED):
            raise ValueError("give either a verdict or an edit")
        if not self.edits and self.review in (None, ReviewState.EDITED):
            raise ValueError("give a verdict, or what is to be edited")
        return self


class BulkRequest(Request):
    """One verdict for many pairs: by their ids, or all that are meant by ``where``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "where": {"review": ["new"], "score": "round_trip", "min_score": 0.9},
                    "review": "accepted",
                }
            ]
        }
    )

    review: Literal["new", "accepted", "rejected"]
    ids: list[UUID] | None = Field(default=None, min_length=1, max_length=10_000)
    where: PairQuery | None = Field(default=None, description="`{}` means all there are.")
    reviewer: Reviewer | None = None

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> "BulkRequest":
        if (self.ids is None) == (self.where is None):
            raise ValueError("give either ids or where")
        return self

    def filter(self) -> PairFilter:
        """Return which pairs are meant."""
        return PairFilter(ids=self.ids) if self.where is None else self.where.filter()


class BulkBody(Body):
    """How many pairs were reviewed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reviewed": 31}]})

    reviewed: int


class PairCorpusRequest(Request):
    """Which pairs become a corpus: those that were accepted or edited, if nothing is told."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "helpdesk-questions"}]})

    name: NewName = Field(description="A name that is taken gets a new version.")
    kind: Literal["pairs", "passages"] = Field(
        default="pairs",
        description="To learn to answer the questions, or to ask them about their passages.",
    )
    where: PairQuery = PairQuery(review=[*KEPT])
    source_language: Language | None = None
    target_language: Language | None = None
    licence: Label | None = None
    valid_share: float = Field(default=0.05, ge=0, lt=1)
    test_share: float = Field(default=0.05, ge=0, lt=1)

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> "PairCorpusRequest":
        if self.valid_share + self.test_share >= 1:
            raise ValueError("valid_share and test_share leave nothing to train on")
        return self

    def request(self) -> ImportRequest:
        """Return what the import is told."""
        told = self.model_dump(exclude={"where"})
        return ImportRequest(format="jsonl", **told)
