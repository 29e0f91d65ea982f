"""How questions are made of documents."""

from typing import Any
from uuid import UUID

from pydantic import Field

from core.specs.base import Spec
from core.specs.passages import PassageSpec


class GenerateSpec(Spec):
    """How many questions are asked about what, and which of them are kept."""

    passages: PassageSpec = PassageSpec(max_characters=700)
    answers: int = Field(default=6, ge=1, le=64)  # that are asked about in each passage, at most
    questions: int = Field(default=1, ge=1, le=8)  # about each answer, at most
    decode: dict[str, Any] = Field(default={})  # laid over the model's own DecodeSpec

    # What is kept. Of 732 questions about people's answers in articles that qgen-pointer had not
    # seen, all were like people's own by 33.6 chrF, those that are found again by 38.4, the fluent
    # ones among them by 41.1, and those without a word said twice by 41.9
    round_trip: float = Field(default=0.5, ge=0, le=1)  # F1 of what the reader finds as the answer
    fluency: float | None = Field(default=-1.0, le=0)  # least score of a question; none: any
    repeats: bool = False  # whether a question may say a word of four letters or more twice
    alike: float = Field(default=0.8, ge=0.5, le=1)  # of two questions so much alike one is dropped
    per_passage: int = Field(default=4, ge=1, le=64)  # questions, at most
    per_kind: float = Field(default=0.5, gt=0, le=1)  # share of one kind in a document, such as who


class GenerateJob(Spec):
    """The spec of a job of kind ``generate``: enough to repeat it, with its pieces."""

    model: str  # what was asked for: an alias, or a checkpoint
    checkpoint: UUID  # what that meant
    documents: int  # how many
    options: GenerateSpec = GenerateSpec()
