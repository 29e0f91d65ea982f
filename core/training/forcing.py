"""Whose words the decoder hears while it learns: the gold ones, its own, or some of both."""

import math

from core.specs import TrainSpec

_LARGEST = 700.0  # exp of more is no number


def truth(spec: TrainSpec, *, updates: int) -> float:
    """Return the chance that a step hears the gold word after ``updates`` updates.

    Source: Bengio et al. 2015, 2.4: a line from 1 to 0, or the inverse sigmoid
    k / (k + exp(i / k)).
    """
    if spec.forcing == "teacher":
        return 1.0
    if spec.forcing == "free":
        return 0.0
    if spec.forcing == "linear":
        return max(0.0, 1.0 - updates / spec.forcing_steps)
    k = spec.forcing_steps
    return k / (k + math.exp(min(updates / k, _LARGEST)))
