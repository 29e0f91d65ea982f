"""Dropout: a coin for each element, tossed cheaply, or one mask for all steps of a sequence.

torch draws its masks one sample at a time, which on a CPU costs many times the matrix product
beside it; here an element's chance is a byte. Sizes: B rows, T steps, F features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_SIDES = 256  # a byte


class Dropout(nn.Module):
    """Strike elements at random, and scale the rest so that the mean stays.

    On a CPU the rate is rounded to whole 256ths, and the scale is that of the rounded one.
    Source: Srivastava et al. 2014.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, inputs: Tensor) -> Tensor:
        """Drop elements of ``inputs`` (any shape) while training."""
        return drop(inputs, self.rate) if self.training else inputs

    def extra_repr(self) -> str:
        """Name the rate where the module is printed."""
        return f"rate={self.rate}"


def drop(inputs: Tensor, rate: float) -> Tensor:
    """Strike elements of ``inputs`` (any shape) with chance ``rate``, below 1; scale the rest."""
    if rate == 0.0:
        return inputs
    if not inputs.is_cpu:
        return functional.dropout(inputs, rate)
    struck = min(max(round(rate * _SIDES), 1), _SIDES - 1)
    coins = torch.empty(-(-inputs.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    kept = coins.view(torch.uint8)[: inputs.numel()].ge_(struck).view(inputs.shape)
    return inputs * kept.to(inputs.dtype).mul_(_SIDES / (_SIDES - struck))


class LockedDropout(nn.Module):
    """One mask for all steps of a row. Source: Gal and Ghahramani 2016, 4."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, inputs: Tensor) -> Tensor:
        """Drop the same features of ``inputs`` (B, T, F) at every step of a row."""
        mask = self.draw(inputs)
        return inputs if mask is None else inputs * mask

    def draw(self, inputs: Tensor) -> Tensor | None:
        """Return a scaled mask (B, 1, F) for ``inputs`` (B, T, F), or None where nothing drops.

        For whoever goes step by step and applies one mask again and again.
        """
        if not self.training or self.rate == 0.0:
            return None
        kept = 1.0 - self.rate
        return inputs.new_empty(inputs.size(0), 1, inputs.size(2)).bernoulli_(kept).div_(kept)

    def extra_repr(self) -> str:
        """Name the rate where the module is printed."""
        return f"rate={self.rate}"


def dropout(rate: float, *, locked: bool) -> nn.Module:
    """Return the dropout that a spec asks for, for inputs (B, T, F)."""
    return LockedDropout(rate) if locked else Dropout(rate)
