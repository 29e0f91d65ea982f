"""Generators: from a decoder's features to the probability of every word.

Sizes: N positions, B rows, F features, V vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.cross_entropy import cross_entropy_sum
from core.models.precision import widened


class Generator(nn.Module):
    """The output layer: one score for each word, by a vector of its own or by its embedding.

    Tied (Press and Wolf 2017): assign the embedding's weight to ``weight``.
    """

    def __init__(self, *, feature_dim: int, vocabulary_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary_size, feature_dim))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        nn.init.xavier_uniform_(self.weight)

    @property
    def vocabulary_size(self) -> int:
        """How many words it knows."""
        return self.weight.size(0)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (..., V) of ``features`` (..., F)."""
        return functional.linear(features, self.weight, self.bias)

    def losses(
        self, features: Tensor, gold: Tensor, label_smoothing: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return sums over ``features`` (N, F): what is made small, and -log p of ``gold`` (N,).

        The second has no gradient. Label smoothing: Szegedy et al. 2016, 7.
        """
        return cross_entropy_sum(features, self.weight, self.bias, gold, label_smoothing)

    def log_probs(self, features: Tensor) -> Tensor:
        """Return log probabilities (B, V) of the word after ``features`` (B, F), never halves."""
        return widened(self(features)).log_softmax(-1)
