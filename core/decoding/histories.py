"""What the live hypotheses of many rows have said, in arrays that all rows share.

Sizes: R rows, K hypotheses of the widest beam, T steps of the longest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.decoding.step import NEVER

_STEPS = 16  # by which arrays grow
NOBODY = -1  # stands where there is no word

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Growth:
    """What each row goes on with; a row has ``counts`` hypotheses, at its first places."""

    parents: Ints  # (R, K)
    words: Ints  # (R, K)
    totals: NDArray[np.float64]  # (R, K)
    log_probs: NDArray[np.float64]  # (R, K), of the words
    counts: Ints  # (R,)


class Histories:
    """The live hypotheses of each row, best first, at its first places."""

    def __init__(self) -> None:
        self.totals = np.zeros((0, 1))  # (R, K) log p; -inf where no hypothesis is
        self.counts = np.zeros(0, np.int64)  # (R,) how many live
        self.said = np.zeros(0, np.int64)  # (R,) how many words each of them has
        self._words = np.zeros((0, 1, _STEPS), np.int32)  # (R, K, T)
        self._log_probs = np.zeros((0, 1, _STEPS))  # (R, K, T)
        self._best = np.full((0, _STEPS), NOBODY, np.int32)  # (R, T) what the best finished says
        self._finished = np.zeros(0, np.bool_)  # (R,) whether there is one
        self._told = np.zeros(0, np.int64)  # (R,) how many words have been called certain

    def join(self, rows: int) -> None:
        """Take in rows, each of one hypothesis that has said nothing."""
        before, width = self.totals.shape
        widths = ((0, rows), (0, 0))
        self.totals = np.pad(self.totals, widths, constant_values=NEVER)
        self.totals[before:, 0] = 0.0
        self.counts = np.pad(self.counts, (0, rows), constant_values=1)
        self.said = np.pad(self.said, (0, rows))
        self._told = np.pad(self._told, (0, rows))
        self._finished = np.pad(self._finished, (0, rows))
        steps = self._words.shape[2]
        fresh = np.zeros((rows, width, steps))
        self._words = np.concatenate([self._words, fresh.astype(np.int32)])
        self._log_probs = np.concatenate([self._log_probs, fresh])
        self._best = np.pad(self._best, widths, constant_values=NOBODY)

    def keep(self, rows: Ints) -> None:
        """Forget all rows but these."""
        self.totals, self.counts, self.said = self.totals[rows], self.counts[rows], self.said[rows]
        self._words, self._log_probs = self._words[rows], self._log_probs[rows]
        self._best, self._finished = self._best[rows], self._finished[rows]
        self._told = self._told[rows]

    def fit(self, width: int) -> None:
        """Hold beams as wide as ``width``, and one word more."""
        now = self.totals.shape[1]
        if width < now:
            self.totals = self.totals[:, :width]
            self._words, self._log_probs = self._words[:, :width], self._log_probs[:, :width]
        elif width > now:
            more = (0, width - now)
            self.totals = np.pad(self.totals, ((0, 0), more), constant_values=NEVER)
            self._words = np.pad(self._words, ((0, 0), more, (0, 0)))
            self._log_probs = np.pad(self._log_probs, ((0, 0), more, (0, 0)))
        if self.said.max(initial=0) >= self._words.shape[2]:
            more = (0, max(_STEPS, self._words.shape[2] // 2))
            self._words = np.pad(self._words, ((0, 0), (0, 0), more))
            self._log_probs = np.pad(self._log_probs, ((0, 0), (0, 0), more))
            self._best = np.pad(self._best, ((0, 0), more), constant_values=NOBODY)

    def grow(self, growth: Growth) -> None:
        """Go on with the hypotheses that ``growth`` names, each a word longer."""
        rows, width, steps = self._words.shape
        places = (growth.parents + np.arange(0, rows * width, width)[:, None]).ravel()
        self._words = self._words.reshape(-1, steps).take(places, 0).reshape(rows, width, steps)
        log_probs = self._log_probs.reshape(-1, steps).take(places, 0)
        self._log_probs = log_probs.reshape(rows, width, steps)
        every = np.arange(rows)
        self._words[every, :, self.said] = growth.words
        self._log_probs[every, :, self.said] = growth.log_probs
        self.totals, self.counts = growth.totals, growth.counts
        self.said = self.said + 1

    def words_of(self, row: int, place: int) -> list[int]:
        """Return what a hypothesis has said."""
        words: list[int] = self._words[row, place, : self.said[row]].tolist()
        return words

    def log_probs_of(self, row: int, place: int) -> list[float]:
        """Return the log probability of each word of a hypothesis."""
        log_probs: list[float] = self._log_probs[row, place, : self.said[row]].tolist()
        return log_probs

    def note_best(self, row: int, tokens: tuple[int, ...]) -> None:
        """Take note that ``tokens`` are the best finished hypothesis of a row."""
        self._finished[row] = True
        self._best[row] = NOBODY
        self._best[row, : len(tokens)] = tokens

    def tell(self) -> list[tuple[int, tuple[int, ...]]]:
        """Return (row, words) of rows with words that have become certain, and only the new ones.

        Certain is the start that all hypotheses share which may still become the best: those
        that live, and the best that has finished.
        """
        if not len(self.said):
            return []
        first, last = self._told.min(), self.said.max()
        words = self._words[:, :, first:last]
        lead = words[:, 0]  # (R, T)
        places = np.arange(first, last)
        dead = np.arange(words.shape[1]) >= self.counts[:, None]  # (R, K)
        same = ((words == lead[:, None]) | dead[:, :, None]).all(1)
        same &= (self._best[:, first:last] == lead) | ~self._finished[:, None]
        same |= places < self._told[:, None]
        same &= places < self.said[:, None]
        shared = first + np.logical_and.accumulate(same, 1).sum(1)
        told = []
        for row in np.flatnonzero(shared > self._told).tolist():
            new = lead[row, self._told[row] - first : shared[row] - first].tolist()
            told.append((row, tuple(new)))
        self._told = np.maximum(self._told, shared)
        return told
