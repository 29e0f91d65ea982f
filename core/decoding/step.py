"""All that decoding knows of a model, what it is asked for, and what it hands back.

Sizes: B rows, N lines (the hypotheses of all rows), S source steps, T target steps, V vocabulary.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
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

    def step(self, tokens: Tensor, state: StateT) -> tuple[Tensor, Tensor | None, StateT]:
        """Append ``tokens`` (N,); return logits (N, V) of what comes next, and where it looked.

        Logits are log probabilities up to a constant for each line. Where it looked, (N, S), sums
        to 1 over the real tokens of a source; a model that cannot tell returns none.
        """
        ...

    def select(self, state: StateT, rows: Tensor) -> StateT:
        """Keep ``rows``, in their order, repeats allowed."""
        ...

    def join(self, states: Sequence[StateT]) -> StateT:
        """Return one state with the lines of all, one state behind the other."""
        ...


@runtime_checkable
class Finder(StepModel[StateT], Protocol[StateT]):
    """A model that finds the likeliest word sooner than it makes the logits of all."""

    def best(
        self,
        tokens: Tensor,
        state: StateT,
        never: Tensor,
        measure: Callable[[Tensor], Tensor] | None,
    ) -> tuple[Tensor, Tensor, Tensor | None, StateT]:
        """Append ``tokens`` (N,); return what is likeliest to come next, but for the ids ``never``.

        Returns its logit (N,), its id (N,), where it looked, and the state. ``measure`` is what
        makes logits log probabilities: with it, the logit comes less what ``measure`` returns.
        """
        ...

    def permit(self, state: StateT, words: Sequence[Collection[int] | None]) -> StateT:
        """Let each row of ``state``, just begun, say ``words`` besides; None: any there are.

        A model may leave out of account what a source does not call up.
        """
        ...


def _spells_nothing(id_: int) -> bytes:
    """Stand in for the spelling of a vocabulary where no text is asked about."""
    del id_
    return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one request asks of decoding, in ids."""

    spec: DecodeSpec
    first: int = BOS  # what the model hears before the first word
    end: int | None = EOS  # what ends a sequence; none: only its length does
    never: tuple[int, ...] = SIGNS  # ids that are not said
    prefix: tuple[int, ...] = ()  # what every hypothesis begins with
    required: tuple[tuple[int, ...], ...] = ()  # sequences that every hypothesis contains
    banned: tuple[bytes, ...] = ()  # spellings that a text never contains
    stop: tuple[bytes, ...] = ()  # spellings that end it; their last token is kept
    spell: Callable[[int], bytes] = _spells_nothing  # what an id adds to the text
    lead: bytes = b""  # what the text loses at its start, as its vocabulary decodes it
    scripts: tuple[tuple[int, ...], ...] = ()  # not to be searched for but scored, each as it is
    scored: bool = True  # whether log probabilities are wanted; greedy search is quicker without

    @property
    def permitted(self) -> frozenset[int] | None:
        """What it may say besides what its source calls up; None: anything.

        Where only the likeliest word is said, nearly nothing is lost by leaving out others.
        """
        spec = self.spec
        if spec.beam_size > 1 or spec.temperature is not None or self.scripts:
            return None
        return frozenset((*self.prefix, *chain.from_iterable(self.required)))


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One finished sequence, without its start and end signs."""

    tokens: tuple[int, ...]
    log_prob: float  # of the whole sequence, its end sign included; nan where none was wanted
    score: float  # what the ranking goes by: log_prob over its length, less what it left unread
    ended: bool  # False: cut off at the longest length allowed
    token_log_probs: tuple[float, ...] = ()  # of each token, and of the end sign if it ended
    attention: NDArray[np.float32] | None = field(default=None, compare=False)  # (T, S), if asked


@dataclass(frozen=True, slots=True)
class Advance:
    """What a pool did with one step: lines that go on, and what it has to tell of requests."""

    parents: list[int]  # for each line that goes on, which of the pool's lines it grew from
    words: list[int]  # and what it said
    told: list[tuple[int, tuple[int, ...]]]  # (key, tokens that have become certain)
    ended: list[tuple[int, list[Hypothesis]]]  # (key, hypotheses, best first)


class Pool(Protocol):
    """The lines of one strategy in a running batch, of whichever requests."""

    @property
    def lines(self) -> int:
        """How many lines it has now."""
        ...

    def begin(self, key: int, wish: Wish, source_length: int) -> int:
        """Take a request in, behind the others; return how many lines it begins with.

        It has been seen before that the wish makes sense.
        """
        ...

    def leave(self, keys: Collection[int]) -> list[int]:
        """Forget requests; return which of its lines stay, in their order."""
        ...

    def advance(self, logits: Tensor, attention: Tensor | None) -> Advance:
        """Take what may come next, ``logits`` (N, V), which it may change, and where lines looked.

        ``attention`` (N, S), if the model tells.
        """
        ...


def normalised(log_prob: float, length: int, penalty: float) -> float:
    """Return ``log_prob`` over ``length`` (end sign included) to the power of ``penalty``."""
    return log_prob / math.pow(max(length, 1), penalty)
