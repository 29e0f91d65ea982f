"""How a reply is searched for."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from core.specs.base import Spec

Phrase = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class DecodeOptions(Spec):
    """Everything that decoding can be asked for, each by itself."""

    # the beam
    beam_size: int = Field(
        default=4, ge=1, le=16, description="Hypotheses side by side; 1: the likeliest word only."
    )
    n_best: int = Field(
        default=1, ge=1, le=16, description="Distinct answers; fewer, if fewer are found."
    )
    length_penalty: float = Field(
        default=1.0, ge=0.0, le=2.0, description="The score is log p over length to this power."
    )
    coverage_penalty: float = Field(
        default=0.0, ge=0.0, le=10.0, description="What was not looked at costs so much score."
    )
    beam_groups: int = Field(
        default=1, ge=1, le=16, description="That keep away from each other's words."
    )
    diversity: float = Field(
        default=0.0, ge=0.0, le=10.0, description="Log p that a word of another group costs."
    )
    anti_generic: float = Field(
        default=0.0, ge=0.0, le=2.0, description="Of a beam, what would suit anybody counts less."
    )
    # chance
    temperature: float | None = Field(
        default=None, gt=0, le=10, description="Draw words by chance; there is no beam then."
    )
    top_k: int | None = Field(
        default=None, ge=1, description="Draw from so many of the likeliest words alone."
    )
    top_p: float | None = Field(
        default=None, gt=0, le=1, description="Draw from the fewest words that reach this chance."
    )
    seed: int = Field(default=1, ge=0, lt=2**31, description="Of what is drawn.")
    # what may be said
    min_tokens: int = Field(default=0, ge=0, le=512, description="No end comes before so many.")
    max_tokens: int = Field(default=64, ge=1, le=512, description="After so many it is cut off.")
    no_repeat_ngram: int = Field(
        default=0, ge=0, le=16, description="No so many words twice in the same order; 0: off."
    )
    repetition_penalty: float = Field(
        default=1.0, ge=1.0, le=10.0, description="Times this, log p of a word said before."
    )
    skip: tuple[Phrase, ...] = Field(
        default=(), max_length=100, description="Words that are never said, such as <unk>."
    )
    banned: tuple[Phrase, ...] = Field(
        default=(), max_length=100, description="Texts that it never contains."
    )
    required: tuple[Phrase, ...] = Field(
        default=(), max_length=8, description="Phrases that it contains, if a beam finds a place."
    )
    prefix: str = Field(default="", max_length=2000, description="What it begins with.")
    stop: tuple[Phrase, ...] = Field(
        default=(), max_length=16, description="Texts that end it; what is said ends before them."
    )
    # what is told
    alignments: bool = Field(
        default=False, description="Tell where the model looked for each token."
    )


class DecodeSpec(DecodeOptions):
    """How a reply is searched for: greedily, by a beam, or by chance.

    A beam of 1 is greedy search; with a temperature words are drawn. ``score`` is log p over
    length to the power of ``length_penalty``, less what the penalties take.
    """

    @model_validator(mode="after")
    def _makes_sense(self) -> "DecodeSpec":
        for reason in _faults(self):
            raise ValueError(reason)
        return self


def _faults(spec: DecodeSpec) -> Iterator[str]:
    yield from _faults_of_chance(spec)
    yield from _faults_of_a_beam(spec)
    yield from _faults_of_texts(spec)
    if spec.min_tokens > spec.max_tokens:
        yield f"min_tokens ({spec.min_tokens}) exceeds max_tokens ({spec.max_tokens})"


def _faults_of_chance(spec: DecodeSpec) -> Iterator[str]:
    if spec.temperature is not None:
        if spec.beam_size > 1:
            yield "temperature: sampling has no beam; beam_size must be 1"
        return
    if spec.top_k is not None:
        yield "top_k: needs a temperature; nothing is drawn without one"
    if spec.top_p is not None:
        yield "top_p: needs a temperature; nothing is drawn without one"
    if spec.n_best > spec.beam_size:
        yield f"n_best ({spec.n_best}) cannot exceed beam_size ({spec.beam_size})"


def _faults_of_a_beam(spec: DecodeSpec) -> Iterator[str]:
    if spec.beam_size == 1:
        if spec.anti_generic:
            yield "anti_generic: there is nothing to rank anew without a beam"
        if spec.coverage_penalty:
            yield "coverage_penalty: there is nothing to rank without a beam"
        if spec.required:
            yield "required: only a beam can weigh where a phrase goes"
    if spec.beam_size % spec.beam_groups:
        yield f"beam_groups ({spec.beam_groups}) must divide beam_size ({spec.beam_size})"
    if spec.beam_groups > 1 and not spec.diversity:
        yield "beam_groups: nothing keeps groups apart without a diversity"
    if spec.diversity and spec.beam_groups == 1:
        yield "diversity: one group has no other to differ from; beam_groups must be above 1"
    if spec.beam_groups > 1 and spec.required:
        yield "required: groups of a beam cannot share phrases; beam_groups must be 1"


def _faults_of_texts(spec: DecodeSpec) -> Iterator[str]:
    """Find what no text can be; case and spelling depend on a vocabulary, and are looked at there.

    A phrase may be short enough to be in another one, but not what must be within what must not.
    """
    for never, name in ((spec.banned, "banned"), (spec.stop, "stop")):
        for text in never:
            if text in spec.prefix:
                yield f"prefix: has {text!r} in it, which is {name}"
            for phrase in spec.required:
                if text in phrase:
                    yield f"required: {phrase!r} has {text!r} in it, which is {name}"
