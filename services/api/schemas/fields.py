"""The pieces that requests share: texts, names, decoding options, pages."""

import json
from dataclasses import asdict
from functools import lru_cache
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

from core.errors import SpecError
from core.specs import DecodeSpec, Name, decoding, lay_over

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


_STORABLE = AfterValidator(_storable)
_WITHOUT_NUL = Field(json_schema_extra={"pattern": r"^[^\x00]*$"})

Storable = Annotated[str, _STORABLE, _WITHOUT_NUL]
Text = Annotated[
    Storable, StringConstraints(min_length=1, max_length=TEXT_LIMIT), AfterValidator(_with_words)
]
TextOrNothing = Annotated[Storable, StringConstraints(max_length=TEXT_LIMIT)]
Phrase = Annotated[decoding.Phrase, _STORABLE, _WITHOUT_NUL]
Prefix = Annotated[str, StringConstraints(max_length=2000), _STORABLE, _WITHOUT_NUL]
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


def _option(name: str) -> Any:
    """Return the field of a decoding option: limits and meaning are the spec's; none is given."""
    own = DecodeSpec.model_fields[name]
    limits = {key: value for limit in own.metadata for key, value in asdict(limit).items()}
    return Field(default=None, description=own.description, **limits)


class Decode(Request):
    """How to search for this one reply; what is left out is as the model was trained with.

    What is asked for decides about the rest: a phrase that is required brings a beam, and a
    temperature leaves it out. ``null`` switches ``temperature``, ``top_k`` or ``top_p`` off, and
    says nothing elsewhere.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"beam_size": 4, "n_best": 3},
                {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "seed": 7},
                {"required": ["reset link"], "stop": ["\n"], "max_tokens": 40},
            ]
        }
    )

    beam_size: int | None = _option("beam_size")
    n_best: int | None = _option("n_best")
    length_penalty: float | None = _option("length_penalty")
    coverage_penalty: float | None = _option("coverage_penalty")
    beam_groups: int | None = _option("beam_groups")
    diversity: float | None = _option("diversity")
    anti_generic: float | None = _option("anti_generic")
    temperature: float | None = _option("temperature")
    top_k: int | None = _option("top_k")
    top_p: float | None = _option("top_p")
    seed: int | None = _option("seed")
    min_tokens: int | None = _option("min_tokens")
    max_tokens: int | None = _option("max_tokens")
    no_repeat_ngram: int | None = _option("no_repeat_ngram")
    repetition_penalty: float | None = _option("repetition_penalty")
    skip: list[Phrase] | None = _option("skip")
    banned: list[Phrase] | None = _option("banned")
    required: list[Phrase] | None = _option("required")
    prefix: Prefix | None = _option("prefix")
    stop: list[Phrase] | None = _option("stop")
    alignments: bool | None = _option("alignments")

    @model_validator(mode="after")
    def _goes_together(self) -> "Decode":
        try:
            _lay_over_plain(json.dumps(self.chosen()))
        except SpecError as error:
            raise ValueError(str(error)) from error
        return self

    def chosen(self) -> dict[str, Any]:
        """Return only what was said."""
        return {
            name: value
            for name, option in DecodeSpec.model_fields.items()
            if name in self.model_fields_set
            and ((value := getattr(self, name)) is not None or option.default is None)
        }


@lru_cache(maxsize=512)  # most asks of a client have the same options
def _lay_over_plain(chosen: str) -> None:
    lay_over(DecodeSpec(), json.loads(chosen), within="")


class Page(BaseModel, Generic[ItemT]):
    """A list, newest first; ``next`` goes into ``before`` for the one that follows."""

    data: list[ItemT]
    next: str | None = None
