"""What a network that asks questions has besides an encoder and a decoder."""

from typing import Literal

from pydantic import Field

from core.specs.base import Spec


class QuestionSpec(Spec):
    """How answers are proposed in a passage, asked about, and found again."""

    # What may be asked about: each token is part of an answer or not; or whole spans are compared
    proposer: Literal["tags", "spans"] = "spans"
    longest_answer: int = Field(default=16, ge=1, le=64)  # in tokens: of what is proposed and found
    # What a question is made from: what the encoder leaves at the answer, and nothing else; or the
    # whole passage, read once more with the answer marked in it
    condition: Literal["answer", "passage"] = "passage"
    # What the decoder sees of the passage: each token as it was read, or once it has looked at all
    # the others, as far as a gate lets it (Zhao et al. 2018); passage
    self_attention: Literal["none", "gated"] = "none"
    tag_dim: int = Field(default=16, ge=1, le=256)  # of the marks; passage
    shape_dim: int = Field(default=0, ge=0, le=256)  # of how a token is written; 0: not looked at
    reader_dim: int = Field(default=64, ge=2, le=1024)  # of the reader, in one direction
    # Embeddings and layers that each part has to itself, and clips gradients for itself
    separate: bool = False
    proposal_weight: float = Field(default=1.0, ge=0.0, le=100.0)  # of its loss in the sum
    reading_weight: float = Field(default=1.0, ge=0.0, le=100.0)
