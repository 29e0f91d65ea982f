"""Which examples make a batch, in which order: repeatable from a seed, and from the middle."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_POOL_BATCHES = 50  # enough that few tokens are padding, few enough that batches stay mixed

Rows = NDArray[np.int64]


class BucketSampler:
    """Puts examples of similar length into one batch, differently in each epoch.

    It keeps no place of its own: (epoch, index) says where a training is, and
    ``batches(epoch)[index:]`` is what remains of that epoch, in this process or in the next.
    """

    def __init__(
        self,
        source_lengths: NDArray[Any],
        target_lengths: NDArray[Any],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        """Take the lengths (N,) in tokens of N examples."""
        self._source_lengths = source_lengths
        self._target_lengths = target_lengths
        self._batch_size = batch_size
        self._seed = seed

    def batches(self, epoch: int) -> list[Rows]:
        """Return the batches of ``epoch``, each of row numbers; every row occurs once.

        Shuffled, then sorted by length within pools of many batches, cut, and shuffled again.
        """
        choose = np.random.default_rng([self._seed, epoch])
        rows = choose.permutation(len(self._source_lengths))
        pool_size = self._batch_size * _POOL_BATCHES
        batches: list[Rows] = []
        for start in range(0, len(rows), pool_size):
            pool = self._sorted(rows[start : start + pool_size])
            batches += [
                pool[cut : cut + self._batch_size] for cut in range(0, len(pool), self._batch_size)
            ]
        return [batches[index] for index in choose.permutation(len(batches))]

    def _sorted(self, rows: Rows) -> Rows:
        order = np.lexsort((self._source_lengths[rows], self._target_lengths[rows]))
        return rows[order]
