"""How a reply is searched for."""

from pydantic import Field, model_validator

from core.specs.base import Spec


class DecodeSpec(Spec):
    """How a reply is searched for; a beam of 1 is greedy search, with a temperature it samples."""

    beam_size: int = Field(default=4, ge=1, le=16)
    n_best: int = Field(default=1, ge=1, le=16)
    length_penalty: float = Field(default=1.0, ge=0.0, le=2.0)  # score / length ** penalty
    max_tokens: int = Field(default=64, ge=1, le=512)
    temperature: float | None = Field(default=None, gt=0, le=10)  # none: always the likeliest
    seed: int = Field(default=1, ge=0, lt=2**31)  # of sampling
    skip: tuple[str, ...] = ()  # words never said, such as "<unk>"
    anti_generic: float = Field(default=0.0, ge=0, le=2)  # of a beam, what suits anybody: less

    @model_validator(mode="after")
    def _makes_sense(self) -> "DecodeSpec":
        if self.n_best > self.beam_size:
            raise ValueError(f"n_best ({self.n_best}) cannot exceed beam_size ({self.beam_size})")
        if self.temperature is not None and self.beam_size > 1:
            raise ValueError("temperature: sampling has no beam; beam_size must be 1")
        if self.anti_generic and self.beam_size == 1:
            raise ValueError("anti_generic: there is nothing to rank anew without a beam")
        return self
