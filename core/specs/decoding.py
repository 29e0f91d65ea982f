"""How a reply is searched for."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from core.specs.base import Spec

Phrase = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class DecodeSpec(Spec):
    """How a reply is searched for: greedily, by a beam, or by chance.

    A beam of 1 is greedy search; with a temperature words are drawn. ``score`` is log p over
    length to the power of ``length_penalty``, less what the penalties take.
    """

    # the beam
    beam_size: int = Field(default=4, ge=1, le=16)
    n_best: int = Field(default=1, ge=1, le=16)  # fewer, if fewer are distinct
    length_penalty: float = Field(default=1.0, ge=0.0, le=2.0)
    coverage_penalty: float = Field(default=0.0, ge=0.0, le=10.0)  # what was not looked at costs
    beam_groups: int = Field(default=1, ge=1, le=16)  # that keep away from each other's words ...
    diversity: float = Field(default=0.0, ge=0.0, le=10.0)  # ... which cost so much log p
    anti_generic: float = Field(default=0.0, ge=0, le=2)  # of a beam, what suits anybody: less
    # chance
    temperature: float | None = Field(default=None, gt=0, le=10)  # none: always the likeliest
    top_k: int | None = Field(default=None, ge=1)  # draw from the k likeliest words alone
    top_p: float | None = Field(default=None, gt=0, le=1)  # ... that together have this chance
    seed: int = Field(default=1, ge=0, lt=2**31)
    # what may be said
    min_tokens: int = Field(default=0, ge=0, le=512)
    max_tokens: int = Field(default=64, ge=1, le=512)
    no_repeat_ngram: int = Field(default=0, ge=0, le=16)  # no n words twice in this order; 0: off
    repetition_penalty: float = Field(default=1.0, ge=1.0, le=10.0)  # log p of said words, times
    skip: tuple[str, ...] = ()  # words never said, such as "<unk>"
    banned: tuple[Phrase, ...] = Field(default=(), max_length=100)  # texts it never contains
    required: tuple[Phrase, ...] = Field(default=(), max_length=8)  # phrases it contains
    prefix: str = Field(default="", max_length=2000)  # what it begins with
    stop: tuple[Phrase, ...] = Field(default=(), max_length=16)  # texts that end it, and are cut
    # what is told
    alignments: bool = False  # where the model looked for each token

    @model_validator(mode="after")
    def _makes_sense(self) -> "DecodeSpec":
        for reason in _faults(self):
            raise ValueError(reason)
        return self


def _faults(spec: DecodeSpec) -> Iterator[str]:
    beam, samples = spec.beam_size > 1, spec.temperature is not None
    if samples and beam:
        yield "temperature: sampling has no beam; beam_size must be 1"
    if not samples and spec.n_best > spec.beam_size:
        yield f"n_best ({spec.n_best}) cannot exceed beam_size ({spec.beam_size})"
    if not samples and spec.top_k is not None:
        yield "top_k: needs a temperature; nothing is drawn without one"
    if not samples and spec.top_p is not None:
        yield "top_p: needs a temperature; nothing is drawn without one"
    if spec.anti_generic and not beam:
        yield "anti_generic: there is nothing to rank anew without a beam"
    if spec.coverage_penalty and not beam:
        yield "coverage_penalty: there is nothing to rank without a beam"
    if spec.required and not beam:
        yield "required: only a beam can weigh where a phrase goes"
    if spec.beam_size % spec.beam_groups:
        yield f"beam_groups ({spec.beam_groups}) must divide beam_size ({spec.beam_size})"
    if (spec.beam_groups > 1) != (spec.diversity > 0):
        yield "diversity: groups of a beam need it, and it needs beam_groups above 1"
    if spec.beam_groups > 1 and spec.required:
        yield "required: groups of a beam cannot share phrases; beam_groups must be 1"
    if spec.min_tokens > spec.max_tokens:
        yield f"min_tokens ({spec.min_tokens}) exceeds max_tokens ({spec.max_tokens})"
