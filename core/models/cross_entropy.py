"""The loss of an output layer, without keeping what it does not need.

Sizes: N predictions, F features, V vocabulary.
"""

from torch import Tensor
from torch.nn import functional

from core.models.precision import widened


def cross_entropy_sum(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    gold: Tensor,
    label_smoothing: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Score ``features`` (N, F) by a layer ``weight`` (V, F), ``bias`` (V,) against ``gold`` (N,).

    Returns two sums over the predictions: the smoothed cross-entropy (Szegedy et al. 2016, 7),
    and -log p of the gold words, which carries no gradient.
    """
    logits = widened(functional.linear(features, weight, bias))  # (N, V)
    total = functional.cross_entropy(logits, gold, reduction="sum", label_smoothing=label_smoothing)
    if label_smoothing == 0.0:
        return total, total.detach()
    return total, functional.cross_entropy(logits.detach(), gold, reduction="sum")
