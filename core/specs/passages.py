"""How documents are cut into passages."""

from pydantic import Field

from core.specs.base import Spec


class PassageSpec(Spec):
    """How long passages are; what is longer than one is cut at the end of a sentence."""

    max_characters: int = Field(default=1000, ge=16, le=100_000)
    max_words: int | None = Field(default=None, ge=4)  # None: characters alone count
    # What is shorter, such as a heading, goes with what follows it, where both fit
    min_characters: int = Field(default=60, ge=0)
    overlap: int = Field(default=0, ge=0, le=16)  # sentences of a passage that the next one repeats
