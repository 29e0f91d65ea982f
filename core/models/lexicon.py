"""Which words a source calls up: few enough that a step need not score all others.

Sizes: V vocabulary, K words that a word calls up, C words that are called up whatever is read.
Source: Jean et al. 2015, 3.2; Junczys-Dowmunt et al. 2018, 3.4.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """For each word of a source, the words that it may have become in the target."""

    words: NDArray[np.int32]  # (V, K), the likeliest first; a place without one repeats another
    always: NDArray[np.int32]  # (C,), what any text needs; the end among them

    def called_up(self, source: Collection[int]) -> Ids:
        """Return, in order, what may be said of ``source``: words are called up by themselves too.

        An answer depends on ``source`` alone, not on what it is read beside.
        """
        read = np.fromiter(source, np.int64, len(source))
        marked = np.zeros(len(self.words), dtype=bool)
        marked[self.always] = True
        marked[read] = True
        marked[self.words[read]] = True
        return marked.nonzero()[0]

    def tensors(self) -> dict[str, Tensor]:
        """Return what it is made of, to be stored."""
        return {"words": torch.from_numpy(self.words), "always": torch.from_numpy(self.always)}

    @classmethod
    def of(cls, vocabulary_size: int, *, words: Tensor, always: Tensor) -> "Lexicon":
        """Return what ``tensors`` were taken from; ValueError where that cannot be."""
        lexicon = cls(words.numpy(), always.numpy())
        ids = np.concatenate([lexicon.words.ravel(), lexicon.always])
        if len(lexicon.words) != vocabulary_size or words.dim() != 2 or ids.dtype != np.int32:
            raise ValueError(f"its shape is {tuple(words.shape)} for {vocabulary_size} words")
        if not len(lexicon.always) or ids.min() < 0 or ids.max() >= vocabulary_size:
            raise ValueError("it calls up words that are none")
        return lexicon
