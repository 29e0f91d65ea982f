"""All that decoding knows of a model, and what it hands back.

Sizes: B rows, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

from core.specs import DecodeSpec
from core.text.tokenizer import BOS, EOS, PAD, SEP

NEVER = float("-inf")
SIGNS = (PAD, BOS, SEP)  # what is never said: they are no words

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one row asks for."""

    spec: DecodeSpec
    first: int = BOS  # what the model hears before the first word
    end: int | None = EOS  # what ends a sequence; none: only its length does
    never: tuple[int, ...] = SIGNS  # ids that are not said


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


def forbid(log_probs: Tensor, never: Sequence[tuple[int, ...]]) -> Tensor:
    """Give each line of ``log_probs`` (B, V) no chance to say its ids of ``never``, in place."""
    if len(set(never)) == 1:
        log_probs[:, list(never[0])] = NEVER
        return log_probs
    lines = [line for line, ids in enumerate(never) for _ in ids]
    log_probs[lines, [id_ for ids in never for id_ in ids]] = NEVER
    return log_probs
