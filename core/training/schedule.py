"""How the learning rate goes up and comes down."""

import math

from core.specs import TrainSpec

_FLOOR = 0.01  # of the peak: the last steps of a falling rate still move a little


def learning_rate(
    spec: TrainSpec, *, step: int, total_steps: int, plateau_scale: float = 1.0
) -> float:
    """Return the rate for ``step`` (the first is 1): linear warm-up, then ``spec.decay``.

    ``plateau_scale`` is what validations have made of the peak so far; with decay plateau it
    is all that lowers the rate. Past ``total_steps``, a forecast, the rate stays at its floor.
    """
    peak = spec.learning_rate
    if step <= spec.warmup_steps:
        return peak * step / spec.warmup_steps
    if spec.decay == "plateau":
        return peak * plateau_scale
    if spec.decay == "inverse_sqrt":
        return float(peak * (max(spec.warmup_steps, 1) / step) ** 0.5)
    if spec.decay == "constant":
        return peak
    left = max(total_steps - step, 0) / max(total_steps - spec.warmup_steps, 1)  # 1 to 0
    if spec.decay == "cosine":
        left = (1 - math.cos(math.pi * left)) / 2
    return peak * max(left, _FLOOR)
