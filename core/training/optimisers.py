"""How gradients become steps; what an optimiser remembers, by name, so that it can be saved."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import SGD, AdamW, Optimizer, RMSprop

from core.specs import TrainSpec

_BETAS = (0.9, 0.98)  # Vaswani et al. 2017, 5.3
_RMSPROP_ALPHA, _RMSPROP_EPS = 0.9, 1e-7  # the defaults of Keras, which recipes cite
_TINY = 1e-6


def make_optimiser(spec: TrainSpec, parameters: Sequence[nn.Parameter]) -> Optimizer:
    """Return the optimiser that ``spec`` names, over ``parameters``."""
    rate, decay = spec.learning_rate, spec.weight_decay
    if spec.optimiser == "sgd":
        return SGD(parameters, lr=rate, momentum=spec.momentum, weight_decay=decay, fused=True)
    if spec.optimiser == "rmsprop":
        return RMSprop(
            parameters, lr=rate, alpha=_RMSPROP_ALPHA, eps=_RMSPROP_EPS, weight_decay=decay
        )
    return AdamW(parameters, lr=rate, betas=_BETAS, weight_decay=decay, fused=True)


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Let the next step be taken at ``rate``."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def average_and_clip(gradients: Sequence[Tensor], *, tokens: int, clip_norm: float) -> None:
    """Make of gradients summed over ``tokens`` their mean, of norm ``clip_norm`` at most.

    In place, and both in one pass over them: that is what costs here.
    """
    whole = list(gradients)
    norm = get_total_norm(whole, foreach=True) / tokens
    factor = (clip_norm / (norm + _TINY)).clamp(max=1.0) / tokens
    torch._foreach_mul_(whole, factor)


def moments(optimiser: Optimizer, names: Sequence[str]) -> dict[str, Tensor]:
    """Return copies of what ``optimiser`` remembers, as ``KIND/NAME``.

    ``names`` are those of its parameters, in their order. A plain SGD remembers nothing.
    """
    held = optimiser.state_dict()["state"]
    return {
        f"{kind}/{name}": value.clone()
        for index, name in enumerate(names)
        for kind, value in held.get(index, {}).items()
        if isinstance(value, Tensor)
    }


def put_moments(
    optimiser: Optimizer, names: Sequence[str], remembered: Mapping[str, Tensor]
) -> None:
    """Make ``optimiser`` remember what ``moments`` returned."""
    index = {name: number for number, name in enumerate(names)}
    held: dict[int, dict[str, Tensor]] = {}
    for key, value in remembered.items():
        kind, _, name = key.partition("/")
        held.setdefault(index[name], {})[kind] = value.clone()
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": held, "param_groups": groups})
