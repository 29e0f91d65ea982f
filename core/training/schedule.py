"""How the learning rate goes up and comes down."""

from core.specs import TrainSpec


def learning_rate(spec: TrainSpec, *, step: int, total_steps: int) -> float:
    """Return the rate for ``step`` (the first is 1): linear warm-up, then ``spec.decay``."""
    if step <= spec.warmup_steps:
        return spec.learning_rate * step / spec.warmup_steps
    if spec.decay == "linear":
        left = max(total_steps - step, 0) / max(total_steps - spec.warmup_steps, 1)
        return spec.learning_rate * max(left, 0.01)  # the last steps still move a little
    if spec.decay == "inverse_sqrt":
        return float(spec.learning_rate * (max(spec.warmup_steps, 1) / step) ** 0.5)
    return spec.learning_rate
