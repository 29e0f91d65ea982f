"""Where the hypotheses of a row have looked, for rows that ask for it.

Sizes: K live hypotheses, S steps of the source, T target steps.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST = 1e-6  # attention that counts as none: what a position without any costs is finite


class Looks:
    """How much of the source each live hypothesis has looked at, and if asked, when."""

    def __init__(self, source_length: int, *, kept: bool) -> None:
        """With ``kept``, each step is remembered, not only their sum."""
        self._sums = np.zeros((1, source_length))  # (K, S)
        self._steps = np.zeros((1, 0, source_length), np.float32) if kept else None  # (K, T, S)
        self._now = np.zeros((1, source_length), np.float32)  # (K, S), of the step that is taken

    def look(self, attention: NDArray[np.float32]) -> None:
        """Take ``attention`` (K, S or more) of the step that is being taken."""
        self._now = attention[:, : self._sums.shape[1]]

    def lack(self, parent: int, *, now: bool) -> float:
        """Return what a hypothesis has left unread: sum of -log(min(attention, 1)).

        With ``now``, the step that is being taken counts. Source: Wu et al. 2016, eq. 14.
        """
        sums = self._sums[parent] + self._now[parent] if now else self._sums[parent]
        return float(-np.log(sums.clip(LEAST, 1.0)).sum())

    def steps(self, parent: int, *, now: bool) -> NDArray[np.float32] | None:
        """Return where a hypothesis looked (T, S), if that is kept."""
        if self._steps is None:
            return None
        steps = [self._steps[parent], *([self._now[parent : parent + 1]] if now else [])]
        return np.concatenate(steps)

    def grow(self, parents: Sequence[int]) -> None:
        """Go on with the hypotheses that grew from ``parents``."""
        index = list(parents)
        self._sums = (self._sums + self._now)[index]
        if self._steps is not None:
            self._steps = np.concatenate([self._steps, self._now[:, None]], 1)[index]
