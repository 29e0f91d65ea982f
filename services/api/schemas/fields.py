"""The pieces that requests share: texts, names, decoding options, pages."""

from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from core.specs import Name

TEXT_LIMIT = 10_000  # characters
LARGEST_ID = 2**63 - 1  # what a database column holds
ItemT = TypeVar("ItemT")


class Request(BaseModel):
    """A body that a client sends; keys that are not known are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Body(BaseModel):
    """A body that goes out; it is read from rows as well as built by hand."""

    model_config = ConfigDict(from_attributes=True)


def _storable(text: str) -> str:
    """Refuse what JSON can spell but no database and no answer can hold."""
    if "\x00" in text:
        raise ValueError("the NUL character cannot be stored; leave it out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"half a surrogate pair, at character {error.start}") from error
    return text


def _with_words(text: str) -> str:
    if not text.strip():
        raise ValueError("there is nothing but blanks in it")
    return text


def _unlike_an_id(name: str) -> str:
    try:
        UUID(name)
    except ValueError:
        return name
    raise ValueError("a name cannot look like an id")


Storable = Annotated[
    str,
    AfterValidator(_storable),
    Field(json_schema_extra={"pattern": r"^[^\x00]*$"}),
]
Text = Annotated[
    Storable, StringConstraints(min_length=1, max_length=TEXT_LIMIT), AfterValidator(_with_words)
]
TextOrNothing = Annotated[Storable, StringConstraints(max_length=TEXT_LIMIT)]
Skipped = Annotated[Storable, StringConstraints(min_length=1, max_length=200)]
Label = Annotated[Storable, StringConstraints(min_length=1, max_length=200)]
Language = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,2}$", max_length=16)
]
NewName = Annotated[Name, AfterValidator(_unlike_an_id)]
ModelRef = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
    Field(description="An alias, or the id of a checkpoint."),
]
CorpusRef = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(@[0-9]{1,9})?$"),
    Field(description="An id, a name (its newest version), or name@version."),
]
Seconds = Annotated[float, Field(gt=0, le=300)]

Limit = Annotated[int, Query(ge=1, le=200, description="How many to list at most.")]
Before = Annotated[UUID | None, Query(description="`next` of the page before this one.")]
AfterId = Annotated[
    int, Query(ge=0, le=LARGEST_ID, description="Only what comes after this id: `next` of a page.")
]


class Decode(Request):
    """How to search for this one reply; what is left out is as the model was trained with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"beam_size": 4, "n_best": 3}]})

    beam_size: int | None = Field(default=None, ge=1, le=16)
    n_best: int | None = Field(default=None, ge=1, le=16)
    length_penalty: float | None = Field(default=None, ge=0.0, le=2.0)
    max_tokens: int | None = Field(default=None, ge=1, le=512)
    temperature: float | None = Field(
        default=None, gt=0, le=10, description="Draw words by chance; there is no beam then."
    )
    seed: int | None = Field(default=None, ge=0, lt=2**31, description="Of what is drawn.")
    skip: list[Skipped] | None = Field(
        default=None, max_length=100, description="Words that are never said."
    )
    anti_generic: float | None = Field(
        default=None, ge=0, le=2, description="Of a beam, what would suit anybody counts less."
    )

    @model_validator(mode="after")
    def _no_more_than_the_beam(self) -> "Decode":
        if self.n_best and self.beam_size and self.n_best > self.beam_size:
            raise ValueError(f"n_best ({self.n_best}) cannot exceed beam_size ({self.beam_size})")
        if self.temperature and max(self.beam_size or 1, self.n_best or 1) > 1:
            raise ValueError("temperature: sampling has no beam; beam_size must be 1")
        if self.anti_generic and (self.beam_size == 1 or self.temperature):
            raise ValueError("anti_generic: there is nothing to rank anew without a beam")
        return self

    def chosen(self) -> dict[str, Any]:
        """Return only what was said."""
        return self.model_dump(exclude_none=True)


class Page(BaseModel, Generic[ItemT]):
    """A list, newest first; ``next`` goes into ``before`` for the one that follows."""

    data: list[ItemT]
    next: str | None = None
