"""The loss of an output layer, without keeping what it does not need.

Sizes: N predictions, n of them at a time, F features, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from core.models.precision import matrix_dtype

_SCORES = 4_200_000  # at a time: memory that is small, and used again and again
_HALVES = 16_000_000  # of logits in halves, whose gradients then need not be added up
_BLOCK = 2_100_000  # of halves that are widened at a time
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
        ctx.save_for_backward(*sums.gradients())
        return sums.total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, total: Tensor) -> tuple[Tensor | None, ...]:
        return *(one * total for one in ctx.saved_tensors), None, None


class _Sums:
    """The loss and its gradients, added up over a few predictions at a time.

    Smoothing is one more term, the same for all words: s / V * (V * lse - sum of the logits). Its
    logits are linear in the features, and so nothing of it needs a look at all scores.
    """

    def __init__(self, features: Tensor, weight: Tensor, bias: Tensor, smoothing: float) -> None:
        self._features = features.detach()
        self._dtype = matrix_dtype(weight)
        self._bias = bias.detach()
        self._wide = weight.detach()
        self._weight = self._wide.to(self._dtype)
        self._smoothing = smoothing
        words = weight.size(0)
        halves = self._dtype != weight.dtype
        self._step = _rows_of(_HALVES if halves else _SCORES, words, features.size(0))
        self._block = _rows_of(_BLOCK, words, self._step) if halves else self._step
        self._scores = weight.new_empty(self._block, words)
        self._logits = self._weight.new_empty(self._step, words) if halves else self._scores
        self.total = weight.new_zeros(())
        self.nll = weight.new_zeros(())
        self._learning = torch.is_grad_enabled()
        self._of_features = torch.empty_like(features)
        self._of_weight: Tensor | None = None
        self._of_bias = torch.zeros_like(bias)

    def gradients(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return those of features (N, F), weight (V, F) and bias (V,)."""
        of_weight = self._of_weight
        if of_weight is None:
            of_weight = torch.zeros_like(self._wide)
        return self._of_features, of_weight, self._of_bias

    def add(self, gold: Tensor) -> None:
        """Add what all features cost whose words are ``gold`` (N,)."""
        of_gold = [
            self._study(slice(start, start + self._step), gold[start : start + self._step])
            for start in range(0, gold.size(0), self._step)
        ]
        if of_gold:
            logits, log_probs = (torch.cat(parts) for parts in zip(*of_gold, strict=True))
            self.nll -= log_probs.sum()
            self.total += self.nll
            if self._smoothing:
                self._smooth(lse=(logits - log_probs).sum(), nll=self.nll)

    def _study(self, rows: slice, gold: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (n,) and log probabilities (n,) of ``gold``; add what they teach."""
        features = self._features[rows].to(self._dtype)
        if missing := -len(features) % _ROWS:
            features = functional.pad(features, (0, 0, 0, missing))
        logits = self._logits[: len(features)]
        torch.mm(features, self._weight.t(), out=logits)
        of_gold = [
            self._compare(logits[start : start + self._block], gold[start : start + self._block])
            for start in range(0, len(logits), self._block)
        ]
        if self._learning:
            self._blame(rows, features, logits)
        scores, log_probs = (torch.cat(parts) for parts in zip(*of_gold, strict=True))
        return scores, log_probs

    def _compare(self, logits: Tensor, gold: Tensor) -> tuple[Tensor, Tensor]:
        """Turn ``logits`` (n, V) into what each of them adds to the loss, but for smoothing.

        Returns those of ``gold``, which may be fewer, and their log probabilities, (n, 1) each.
        """
        scores = self._scores[: len(logits)].copy_(logits).add_(self._bias)
        columns = gold.unsqueeze(1)
        of_gold = scores[: len(gold)].gather(1, columns)
        if not self._learning:
            log_probs = torch.log_softmax(scores, dim=1, out=scores)[: len(gold)]
            return of_gold, log_probs.gather(1, columns)
        wrong = torch.softmax(scores, dim=1, out=scores)
        tiny = torch.finfo(wrong.dtype).tiny
        log_probs = wrong[: len(gold)].gather(1, columns).clamp_(min=tiny).log_()
        wrong[len(gold) :] = 0.0
        wrong.scatter_add_(1, columns, wrong.new_full(columns.shape, self._smoothing - 1))
        self._of_bias += wrong.sum(0)
        logits.copy_(wrong)
        return of_gold, log_probs

    def _blame(self, rows: slice, features: Tensor, wrong: Tensor) -> None:
        of_features = self._of_features[rows]
        of_features.copy_((wrong @ self._weight)[: len(of_features)])
        if self._of_weight is None:
            self._of_weight = (wrong.t() @ features).to(self._of_bias.dtype)
        elif wrong.dtype == self._of_weight.dtype:
            self._of_weight.addmm_(wrong.t(), features)
        else:  # sums over predictions are not rounded to halves
            self._of_weight += wrong.t() @ features

    def _smooth(self, *, lse: Tensor, nll: Tensor) -> None:
        """Let a part of each gold word's weight be shared by all words."""
        share = self._smoothing / len(self._bias)
        of_all = self._wide.sum(0)  # (F,): the sum of a row of logits is linear in its features
        features = self._features.sum(0, dtype=of_all.dtype)
        logits = features @ of_all + len(self._features) * self._bias.sum()
        self.total += self._smoothing * (lse - nll) - share * logits
        if self._of_weight is not None:
            self._of_features -= share * of_all
            self._of_weight -= share * features
            self._of_bias -= share * len(self._features)


def _rows_of(scores: int, words: int, rows: int) -> int:
    """Return how many of ``rows`` have about as many ``scores``, in whole multiples."""
    return max(1, min(scores // words, rows + _ROWS - 1) // _ROWS) * _ROWS
