"""Dropout that strikes a sequence, not a step.

Sizes: B rows, T steps, F features.
"""

from torch import Tensor, nn

from core.models.fast_dropout import Dropout


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
