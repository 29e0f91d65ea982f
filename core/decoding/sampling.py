"""Sampling: words by their chance, so that what is unlikely is said now and then.

Sizes: N rows, V vocabulary, T steps.
"""

import torch
from torch import Tensor


def draw_coins(seed: int, count: int) -> Tensor:
    """Return ``count`` numbers in [0, 1), one for each step of a row.

    They depend on the seed alone, so the same request says the same, whoever keeps it company.
    """
    generator = torch.Generator().manual_seed(seed)
    # 24 bits each: in float64 one times a sum stays below that sum
    return torch.rand(count, generator=generator).double()


def sample(log_probs: Tensor, temperatures: Tensor, coins: Tensor) -> Tensor:
    """Return a token (N,) for each line of ``log_probs`` (N, V).

    ``temperatures`` (N,): below 1 the likely becomes likelier. A coin (N,) points into the
    probabilities as they lie one behind the other, in float64 so that company, which rounds
    otherwise, moves their borders as little as can be.
    """
    scaled = log_probs.double() / temperatures.unsqueeze(1)
    ends = scaled.softmax(-1).cumsum(-1)  # (N, V)
    targets = coins.unsqueeze(1) * ends[:, -1:]
    return torch.searchsorted(ends, targets, right=True).squeeze(1)
