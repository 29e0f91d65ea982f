"""All that decoding knows of a model, and what it hands back.

Sizes: B rows, V vocabulary.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

StateT = TypeVar("StateT")

OnToken = Callable[[int, int], None]  # (row, token): this token of this row is now certain


class StepModel(Protocol[StateT]):
    """One step of a sequence model; a table of transitions can stand in for it."""

    def start(self, source: Tensor, source_mask: Tensor) -> StateT:
        """Read ``source`` (B, S), whose real tokens ``source_mask`` (B, S) names."""
        ...

    def step(self, tokens: Tensor, state: StateT) -> tuple[Tensor, StateT]:
        """Append ``tokens`` (B,); return log probabilities (B, V) of what comes next."""
        ...

    def select(self, state: StateT, rows: Tensor) -> StateT:
        """Keep ``rows``, in their order, repeats allowed."""
        ...


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One finished sequence, without its start and end signs."""

    tokens: tuple[int, ...]
    log_prob: float  # of the whole sequence, its end sign included
    score: float  # log_prob / length ** length_penalty, which the ranking goes by
    ended: bool  # False: cut off at the longest length allowed


def normalised(log_prob: float, length: int, penalty: float) -> float:
    """Return ``log_prob`` over ``length`` (end sign included) to the power of ``penalty``."""
    return log_prob / math.pow(max(length, 1), penalty)


def forbid(log_probs: Tensor, tokens: tuple[int, ...]) -> Tensor:
    """Give ``tokens`` no chance in ``log_probs`` (B, V), in place."""
    for token in tokens:
        log_probs[:, token] = float("-inf")
    return log_probs
