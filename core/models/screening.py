"""The likeliest word in exact numbers, for little more than products of bytes cost.

Bytes say of every logit what it is, give or take a margin that can be worked out. Only words that
could be the highest are multiplied again, exactly.
Sizes: N rows, F features, V vocabulary, P words that could be the highest, of all rows.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from core.models.integers import Bytes, IntegerProduct

_ROUNDING = 1e-4  # of float32 sums, on top of what rounding to bytes brings
_MANY = 32  # words for each row: if more could be the highest, all are multiplied exactly


class Screen(nn.Module):
    """Finds the highest of exact logits without making them all."""

    def __init__(self, weight: Tensor, bias: Tensor, *, bound: float) -> None:
        """Stand in for the product by ``weight`` (V, F) of features none of which is larger.

        |w x - w' x'| <= |w| |x - x'| + |w - w'| |x'|, where w' and x' are the bytes.
        """
        super().__init__()
        self.weight, self.bias = weight.detach(), bias.detach()
        whole = Bytes.of(weight)
        self.coarse = IntegerProduct(whole, bias, bound=bound)
        lost = self.weight - whole.whole * whole.scales.unsqueeze(1)
        off = math.sqrt(weight.size(1)) * bound / 254  # half a byte in each feature
        self.rounded = float(lost.norm(dim=1).max())
        self.margin = float(self.weight.norm(dim=1).max()) * off + self.rounded * off + _ROUNDING

    def best(self, features: Tensor, never: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the highest logit of each of ``features`` (N, F) but for the ids ``never``.

        Returns values (N,) and ids (N,); of equal ones the lower. None: too many come close, or
        a feature is no number.
        """
        logits = self.coarse(features).index_fill_(1, never, -math.inf)  # (N, V)
        margins = torch.linalg.vector_norm(features, dim=1).mul_(self.rounded).add_(self.margin)
        least = logits.amax(1) - 2 * margins
        places = np.flatnonzero(logits.numpy() >= least.numpy()[:, None])
        rows, ids = np.divmod(places, logits.size(1))  # (P,)
        count = len(features)
        found = np.bincount(rows, minlength=count)
        if not found.all() or len(ids) > _MANY * count:
            return None
        close = torch.from_numpy(ids)
        if len(ids) == count:
            return logits.gather(1, close.unsqueeze(1)).squeeze(1), close
        exact = (self.weight[close] * features[torch.from_numpy(rows)]).sum(1) + self.bias[close]
        order = np.lexsort((ids, -exact.numpy(), rows))
        first = torch.from_numpy(order[np.searchsorted(rows, np.arange(count))])
        return exact[first], close[first]
