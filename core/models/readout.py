"""What every decoder hands to the output layer."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Readout:
    """One feature vector for each next word, and where the decoder looked for it.

    Sizes: B rows, T target steps, S source steps, F features; N positions after ``at``.
    """

    features: Tensor  # (B, T, F)
    attention: Tensor | None = None  # (B, T, S), sums to 1; none: nothing was attended to

    def at(self, where: Tensor) -> "Readout":
        """Keep only the positions where ``where`` (B, T) is True, as (N, F) and (N, S)."""
        attention = None if self.attention is None else self.attention[where]
        return Readout(self.features[where], attention)
