"""What every decoder hands to the output layer."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Readout:
    """One feature vector for each next word, and where the decoder looked for it.

    Sizes: B rows, T target steps, S source steps, F features; N positions after ``at``.
    """

    features: Tensor  # (B, T, F)
    attention: Tensor | None = None  # (B, T, S), rows sum to 1; none: nothing was attended to
    coverage_loss: Tensor | None = None  # (B, T), what attending twice costs: See et al. 2017

    def at(self, where: Tensor) -> "Readout":
        """Keep only the positions where ``where`` (B, T) is True, as (N, F), (N, S) and (N,)."""
        return Readout(
            features=self.features[where],
            attention=None if self.attention is None else self.attention[where],
            coverage_loss=None if self.coverage_loss is None else self.coverage_loss[where],
        )
