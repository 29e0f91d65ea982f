"""What the hypotheses of a row may say next, best first, exactly and as far as one asks.

Sizes: N lines, C candidates of each that are at hand, V vocabulary.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.decoding.best import best_of
from core.decoding.constraints import completes, stops
from core.decoding.step import NEVER, Wish


class Extension(NamedTuple):
    """A hypothesis of a row, one word longer."""

    parent: int  # which of the live hypotheses of its row
    word: int
    total: float  # log p of all
    log_prob: float  # and of this word


@dataclass(frozen=True, slots=True)
class Choice:
    """What became of the live hypotheses of a row in one step."""

    live: list[Extension] = field(default_factory=list)  # those that go on
    ended: list[Extension] = field(default_factory=list)  # by their end sign, or by a text
    cut: list[int] = field(default_factory=list)  # hypotheses that stay as they are, for good


@dataclass(frozen=True, slots=True)
class Step:
    """What all lines of a pool may say next."""

    logits: Tensor  # (N, V), after all that shapes them
    log_probs: NDArray[np.float64]  # (N, C), highest first
    words: NDArray[np.int64]  # (N, C)
    log_z: NDArray[np.float64]  # (N,)

    def of_line(self, line: int) -> Iterator[tuple[float, int]]:
        """Yield (log probability, word), the likeliest first, down to what is impossible."""
        log_probs, words = self.log_probs[line].tolist(), self.words[line].tolist()
        begun = 0
        while True:
            for log_prob, word in zip(log_probs[begun:], words[begun:], strict=True):
                if log_prob == NEVER:
                    return
                yield log_prob, word
            begun = len(words)
            if begun == self.logits.size(1):
                return
            values, ids = best_of(self.logits[line : line + 1], 8 * begun)
            log_probs = (values[0].double() - float(self.log_z[line])).tolist()
            words = ids[0].tolist()

    def of(self, line: int, word: int) -> float:
        """Return the log probability of ``word``; what is beyond V is impossible."""
        if word >= self.logits.size(1):
            return NEVER
        return self.logits[line, word].double().item() - float(self.log_z[line])


@dataclass(frozen=True, slots=True)
class Turn:
    """One row in one step: its live hypotheses, which stand on lines that follow each other."""

    step: Step
    first: int  # the line of the first of them
    totals: Sequence[float]  # log p of each
    said: Sequence[Sequence[int]]  # and its words
    score: Callable[[Extension], float]  # what ranking makes of one that is a word longer ...
    promise: Callable[[Extension], float]  # ... and at best of one that has yet to end
    forced: Callable[[int, int], float]  # log p of (parent, word), whatever forbids it

    def ranked(
        self, parents: Sequence[int], costs: Mapping[int, float] | None = None
    ) -> Iterator[Extension]:
        """Yield the extensions of ``parents``, best first.

        ``costs`` are of words: each ranks so much lower than its log p. Equals come by parent,
        then in the order of their line.
        """
        costs = costs or {}
        lines = {parent: self.step.of_line(self.first + parent) for parent in parents}
        heap: list[tuple[float, int, int, float, bool]] = []

        def put(parent: int) -> None:
            log_prob, word = next(lines[parent], (NEVER, -1))
            if log_prob > NEVER:
                rank = -(self.totals[parent] + log_prob)
                heapq.heappush(heap, (rank, parent, word, log_prob, word in costs))

        for parent in parents:
            put(parent)
        while heap:
            rank, parent, word, log_prob, owes = heapq.heappop(heap)
            if owes:  # back among the others, at its price
                heapq.heappush(heap, (rank + costs[word], parent, word, log_prob, False))
            else:
                yield Extension(parent, word, self.totals[parent] + log_prob, log_prob)
                if word in costs:
                    continue  # what follows it in its line is there already
            put(parent)


class Chooser(Protocol):
    """Chooses for one row whose candidates do not stand by their scores alone."""

    def choose(self, turn: Turn) -> Choice:
        """Return what goes on, best first, and what ends."""
        ...


class Texts:
    """What the texts of a wish do to a hypothesis: those it must not contain, those that end it."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish

    def allowed(self, said: Sequence[int], word: int) -> bool:
        """Whether ``word`` completes no text that is banned."""
        wish = self._wish
        if word == wish.end:
            return True
        return not completes(wish.banned, wish.spell, said, word, wish.lead)

    def ends(self, said: Sequence[int], word: int) -> bool:
        """Whether a hypothesis ends with ``word``."""
        return word == self._wish.end or stops(self._wish, (*said, word))
