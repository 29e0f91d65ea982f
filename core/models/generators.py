"""Generators: from a decoder's features to the probability of every word.

Sizes: N positions, B rows, F features, V vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.cross_entropy import cross_entropy_sum
from core.models.precision import widened
from core.models.products import PlainProduct, Product

Measure = Callable[[Tensor], Tensor]  # from logits (N, V) to what makes them log p, (N,)


class Generator(nn.Module):
    """The output layer: one score for each word, by a vector of its own or by its embedding.

    Tied (Press and Wolf 2017): assign the embedding's weight to ``weight``.
    """

    screens = False  # whether it finds the best word without making all logits

    def __init__(self, *, feature_dim: int, vocabulary_size: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary_size, feature_dim))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size)) if bias else None
        nn.init.xavier_uniform_(self.weight)

    @property
    def vocabulary_size(self) -> int:
        """How many words it knows."""
        return self.weight.size(0)

    @property
    def offsets(self) -> Tensor:
        """What is added to each word's logit, (V,): zeros without a bias."""
        if self.bias is None:
            return self.weight.new_zeros(self.vocabulary_size)
        return self.bias

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (..., V) of ``features`` (..., F)."""
        return functional.linear(features, self.weight, self.bias)

    def losses(
        self, features: Tensor, gold: Tensor, label_smoothing: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return sums over ``features`` (N, F): what is made small, and -log p of ``gold`` (N,).

        The second has no gradient. Label smoothing: Szegedy et al. 2016, 7.
        """
        return cross_entropy_sum(features, self.weight, self.offsets, gold, label_smoothing)

    def log_probs(self, features: Tensor) -> Tensor:
        """Return log probabilities (B, V) of the word after ``features`` (B, F), never halves."""
        return widened(self(features)).log_softmax(-1)

    def best(
        self, features: Tensor, never: Tensor, measure: Measure | None
    ) -> tuple[Tensor, Tensor]:
        """Return value (N,) and id (N,) of the highest logit of each of ``features`` (N, F).

        The ids ``never`` are not among them. Of the value, what ``measure`` returns is taken off.
        """
        return highest(widened(self(features)), never, measure)

    def narrowed(self, ids: Tensor, *, many: bool) -> Product:
        """Return what makes the logits (N, C) of the words ``ids`` (C,) alone."""
        del many  # one way for any number of rows
        return PlainProduct(self.weight[ids], self.offsets[ids])


def highest(logits: Tensor, never: Tensor, measure: Measure | None = None) -> tuple[Tensor, Tensor]:
    """Return the highest of each line of ``logits`` (N, V), in which ``never`` is made impossible.

    Returns values (N,), less what ``measure`` returns of all (N, V), and ids (N,), of equal ones
    the lower.
    """
    whole = None if measure is None else measure(logits)
    logits.index_fill_(1, never, float("-inf"))
    if logits.is_cpu:
        found = torch.from_numpy(logits.numpy().argmax(1))
        values = logits.gather(1, found.unsqueeze(1)).squeeze(1)
    else:
        values, found = logits.max(1)
    return values if whole is None else values - whole, found
