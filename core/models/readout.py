"""What every decoder hands to the output layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
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


def together(steps: Sequence[Readout]) -> Readout:
    """Put the readouts of steps that follow each other, (B, 1, ...) each, into one (B, T, ...)."""
    if len(steps) == 1:
        return steps[0]
    weights = [step.attention for step in steps if step.attention is not None]
    features = torch.cat([step.features for step in steps], dim=1)
    return Readout(features, torch.cat(weights, dim=1) if weights else None)
