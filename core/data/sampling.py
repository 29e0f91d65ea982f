"""Which examples make a batch, in which order: repeatable from a seed, and from the middle."""

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

_POOL_BATCHES = 400  # enough that few tokens are padding; a huge corpus is still mixed well

Rows = NDArray[np.int64]
Places = NDArray[np.int64]


class Batches(Sequence[Rows]):
    """The batches of an epoch, each made when it is asked for."""

    def __init__(self, count: int, make: Callable[[int], Rows]) -> None:
        """``make(i)`` returns the rows of batch i of ``count``."""
        self._places = range(count)
        self._make = make

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Rows: ...
    @overload
    def __getitem__(self, index: slice) -> list[Rows]: ...
    def __getitem__(self, index: int | slice) -> Rows | list[Rows]:
        if isinstance(index, slice):
            return [self._make(place) for place in self._places[index]]
        return self._make(self._places[index])  # a range counts from the end, too


def cut(rows: NDArray[Any], cuts: Places, order: Places | None = None) -> Batches:
    """Return batches; number i is ``rows[cuts[j] : cuts[j + 1]]``, j being ``order[i]``, or i."""

    def batch(number: int) -> Rows:
        place = number if order is None else int(order[number])
        return rows[cuts[place] : cuts[place + 1]].astype(np.int64)

    return Batches(len(cuts) - 1, batch)


class BucketSampler:
    """Puts examples of similar length into one batch, differently in each epoch.

    A batch has ``batch_size`` examples; or, where ``batch_tokens`` is given, as many as fit into
    so many tokens with their padding, and one example that is longer still is a batch of its own.

    It keeps no place: (epoch, index) says where a training is, and ``batches(epoch)[index:]`` is
    what remains of that epoch, in this process or in the next.
    """

    def __init__(
        self,
        source_lengths: NDArray[Any],
        target_lengths: NDArray[Any],
        *,
        batch_size: int,
        seed: int,
        batch_tokens: int | None = None,
    ) -> None:
        """Take the lengths (N,) in tokens of N examples."""
        self._source_lengths = source_lengths
        self._target_lengths = target_lengths
        self._batch_size = batch_size
        self._batch_tokens = batch_tokens
        self._seed = seed

    def batches(self, epoch: int) -> Batches:
        """Return the batches of ``epoch``, each of row numbers; every row occurs once.

        Shuffled, then sorted by length within pools of many batches, cut, and shuffled again.
        """
        choose = np.random.default_rng([self._seed, epoch])
        rows = choose.permutation(np.arange(len(self._source_lengths), dtype=np.int32))
        cuts = [np.zeros(1, dtype=np.int64)]
        pool_size = self._pool_size()
        for start in range(0, len(rows), pool_size):
            pool = rows[start : start + pool_size]
            pool[:] = self._sorted(pool)
            cuts.append(start + self._ends(pool, self._batch_size, self._batch_tokens))
        whole = np.concatenate(cuts)
        return cut(rows, whole, choose.permutation(len(whole) - 1))

    def ordered(self, *, wider: int = 1) -> Batches:
        """Return every row once, the longest first, in batches ``wider`` times the usual size."""
        rows = self._sorted(np.arange(len(self._source_lengths), dtype=np.int32))[::-1]
        tokens = self._batch_tokens and self._batch_tokens * wider
        ends = self._ends(rows, self._batch_size * wider, tokens)
        return cut(rows, np.concatenate([np.zeros(1, dtype=np.int64), ends]))

    def _pool_size(self) -> int:
        size = self._batch_size
        if self._batch_tokens is not None and len(self._source_lengths):
            mean = self._source_lengths.mean() + self._target_lengths.mean() + 1
            size = max(1, int(self._batch_tokens / mean))
        return size * _POOL_BATCHES

    def _sorted(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Sort by target; by source up and down in turns, so that neighbours are alike in both."""
        source = self._source_lengths[rows].astype(np.int64)
        target = self._target_lengths[rows].astype(np.int64)
        return rows[np.lexsort((np.where(target % 2, -source, source), target))]

    def _ends(self, rows: NDArray[np.int32], size: int, tokens: int | None) -> Places:
        """Return where batches of sorted ``rows`` end, the last one with them."""
        if tokens is None:
            return np.minimum(np.arange(size, len(rows) + size, size), len(rows))
        source = np.maximum(self._source_lengths[rows].astype(np.int64), 1)
        target = self._target_lengths[rows].astype(np.int64) + 1  # and EOS
        ends, start = [0], 0
        while start < len(rows):
            start += _fitting(source[start:], target[start:], tokens)
            ends.append(start)
        return np.array(ends[1:], dtype=np.int64)


def _fitting(source: Places, target: Places, tokens: int) -> int:
    """Return how many examples from the first on fit into ``tokens``, padded; at least one."""
    most = max(1, tokens // int(source[0] + target[0]))
    wide = np.maximum.accumulate(source[:most]) + np.maximum.accumulate(target[:most])
    padded = wide * np.arange(1, len(wide) + 1)  # never falls
    return max(1, int(np.searchsorted(padded, tokens, side="right")))
