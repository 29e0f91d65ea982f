"""How text becomes ids."""

from typing import Literal

from pydantic import Field, model_validator

from core.specs.base import Spec


class TokenizerSpec(Spec):
    """How text becomes ids; source and target share one vocabulary.

    ``closed`` knows exactly the words of its texts and padding, nothing else: for language
    models over one text.
    """

    kind: Literal["char", "word", "unigram", "bpe", "closed"] = "unigram"
    vocabulary_size: int = Field(default=4000, ge=16, le=64000)
    lower_case: bool = False
    split_marks: bool = False  # words only: punctuation marks are words of their own
    byte_fallback: bool = True  # subwords only: what was never seen is spelled in bytes
    particles_apart: bool = False  # subwords only: no piece has a noun and a Korean particle in it
    character_coverage: float = Field(default=0.9999, gt=0.9, le=1.0)

    @model_validator(mode="after")
    def _makes_sense(self) -> "TokenizerSpec":
        if self.split_marks and self.kind != "word":
            raise ValueError("split_marks: only a vocabulary of words can have marks beside them")
        if self.particles_apart and self.kind not in {"unigram", "bpe"}:
            raise ValueError("particles_apart: only a vocabulary of subwords parts a word")
        return self
