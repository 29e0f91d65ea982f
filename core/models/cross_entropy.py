"""The loss of an output layer, without keeping what it does not need.

Sizes: N predictions, n of them at a time, F features, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from core.models.precision import matrix_dtype

_SCORES = 4_200_000  # at a time: what stays in cache, and in memory that is used again and again
_ROWS = 64  # rows come in multiples: for each new shape, halves need 20 ms until they multiply


def cross_entropy_sum(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    gold: Tensor,
    label_smoothing: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Score ``features`` (N, F) by a layer ``weight`` (V, F), ``bias`` (V,) against ``gold`` (N,).

    Returns two sums over the predictions: the smoothed cross-entropy (Szegedy et al. 2016, 7),
    and -log p of the gold words, which carries no gradient. Logits have the precision of matrix
    products, all that follows that of ``weight``; never more than a few predictions' are there at
    a time, for their gradients are made at once.
    """
    sums = _Sums(features, weight, bias, label_smoothing)
    total: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]  # torch gives it no type
        features, weight, bias, gold, sums
    )
    return total, sums.nll


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, _features: Tensor, weight: Tensor, _bias: Tensor, gold: Tensor, sums: "_Sums"
    ) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            sums.add(gold)
        ctx.save_for_backward(*sums.gradients)
        return sums.total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, total: Tensor) -> tuple[Tensor | None, ...]:
        return *(one * total for one in ctx.saved_tensors), None, None


class _Sums:
    """The loss and its gradients, added up over a few predictions at a time."""

    def __init__(self, features: Tensor, weight: Tensor, bias: Tensor, smoothing: float) -> None:
        self._features = features
        self._dtype = matrix_dtype(weight)
        self._weight = weight.detach().to(self._dtype)
        self._bias = bias.detach().to(self._dtype)
        self._smoothing = smoothing
        most = min(_SCORES // weight.size(0), features.size(0) + _ROWS - 1)
        self._step = max(1, most // _ROWS) * _ROWS
        self._scores = weight.new_empty(self._step, weight.size(0))
        wide = self._dtype == weight.dtype
        self._logits = self._scores if wide else torch.empty_like(self._scores, dtype=self._dtype)
        self.total = weight.new_zeros(())
        self.nll = weight.new_zeros(())
        self.gradients: tuple[Tensor, ...] = ()
        if torch.is_grad_enabled():
            self.gradients = (
                torch.empty_like(features),
                torch.zeros_like(weight, memory_format=torch.contiguous_format),
                torch.zeros_like(bias),
            )

    def add(self, gold: Tensor) -> None:
        """Add what all features cost whose words are ``gold`` (N,)."""
        for start in range(0, gold.size(0), self._step):
            rows = slice(start, start + self._step)
            columns = gold[rows].unsqueeze(1)
            features = self._whole(self._features[rows].detach().to(self._dtype))
            scores = self._score(features)
            self._count(scores[: len(columns)], columns)
            if self.gradients:
                self._blame(rows, features, self._wrong(scores, columns))

    def _whole(self, features: Tensor) -> Tensor:
        """Return ``features`` (n, F) with rows of zeros to a multiple of rows."""
        missing = -len(features) % _ROWS
        return functional.pad(features, (0, 0, 0, missing)) if missing else features

    def _score(self, features: Tensor) -> Tensor:
        """Return log probabilities (n, V)."""
        logits, scores = self._logits[: len(features)], self._scores[: len(features)]
        torch.addmm(self._bias, features, self._weight.t(), out=logits)
        scores.copy_(logits)
        return torch.log_softmax(scores, dim=1, out=scores)

    def _count(self, scores: Tensor, columns: Tensor) -> None:
        nll = -scores.gather(1, columns).sum()
        self.nll += nll
        self.total += (1 - self._smoothing) * nll
        if self._smoothing:
            self.total -= scores.sum() * (self._smoothing / scores.size(1))

    def _wrong(self, scores: Tensor, columns: Tensor) -> Tensor:
        """Turn ``scores`` (n, V) into what a change of each logit would add to the loss."""
        wrong = scores.exp_()
        if self._smoothing:
            wrong -= self._smoothing / wrong.size(1)
        wrong[len(columns) :] = 0.0
        return wrong.scatter_add_(1, columns, wrong.new_full(columns.shape, self._smoothing - 1))

    def _blame(self, rows: slice, features: Tensor, wrong: Tensor) -> None:
        of_features, of_weight, of_bias = self.gradients
        of_bias += wrong.sum(0)
        if wrong.dtype == self._dtype:
            of_weight.addmm_(wrong.t(), features)
        else:  # sums over predictions are not rounded to halves
            wrong = self._logits[: len(wrong)].copy_(wrong)
            of_weight += wrong.t() @ features
        of_features[rows] = (wrong @ self._weight)[: len(of_features[rows])]
