"""Everything that an exact resume needs, as one safetensors file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from json import dumps, loads
from typing import Any

import torch
from torch import Tensor

from core.data.tensorfile import notes_of, pack, unpack
from core.errors import BundleError
from core.models.learner import Learner

FORMAT = "malgil-state-2"
_GROUPS = ("weights", "moments", "averages", "best", "generators", "carry", "extra")

Named = Mapping[str, Tensor]


@dataclass(slots=True)
class Counters:
    """Where the run stands; all of it is saved."""

    step: int = 0  # updates made
    epoch: int = 0
    batch: int = 0  # batches of this epoch that are done
    window_loss: float = 0.0  # summed over the tokens since the last report
    window_tokens: int = 0
    validated_at: int = 0  # step
    best_loss: float | None = None
    stale: int = 0  # validations since the best, or since averaging was triggered
    plateau_stale: int = 0  # validations since the best or since the rate last dropped
    plateau_scale: float = 1.0  # what drops have made of the learning rate
    averaged: int = 0  # updates in the average
    elapsed_s: float = 0.0  # of training, all attempts together
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """A moment between two steps, from which the same curve goes on bit for bit."""

    counters: Counters
    weights: Named  # raw: as they learn
    moments: Named  # of the optimiser, as KIND/NAME
    averages: Named  # of the weights, as NUMBER/NAME
    generators: Named  # bytes (R, N) of the generators of R processes, by what they are for
    carry: tuple[Tensor, ...] = ()  # of running text, (B, ...) each
    best: Named = field(default_factory=dict)  # weights of the best validation

    def dump(self, extra: Named) -> bytes:
        """Write as bytes, with ``extra`` tensors beside; the same state gives the same bytes."""
        carry = {str(number): tensor for number, tensor in enumerate(self.carry)}
        groups = (
            self.weights,
            self.moments,
            self.averages,
            self.best,
            self.generators,
            carry,
            extra,
        )
        tensors = {
            f"{group}/{name}": tensor
            for group, named in zip(_GROUPS, groups, strict=True)
            for name, tensor in named.items()
        }
        return pack(tensors, {"format": FORMAT, "counters": dumps(asdict(self.counters))})


def check_format(data: bytes) -> None:
    """Raise BundleError where ``load_state`` would refuse the format that ``data`` says it has."""
    found = notes_of(data).get("format", "none")
    if found != FORMAT:
        raise BundleError(
            f"the training state has format {found!r} and this version reads {FORMAT!r}: "
            "begin the training anew"
        )


def load_state(data: bytes) -> tuple[TrainingState, dict[str, Tensor]]:
    """Read what ``dump`` wrote: the state and the extra tensors; raises BundleError if damaged."""
    check_format(data)
    tensors, notes = unpack(data)
    groups: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}
    for key, tensor in tensors.items():
        group, _, name = key.partition("/")
        groups[group][name] = tensor
    carry = groups["carry"]
    state = TrainingState(
        counters=Counters(**loads(notes["counters"])),
        weights=groups["weights"],
        moments=groups["moments"],
        averages=groups["averages"],
        generators=groups["generators"],
        carry=tuple(carry[str(number)] for number in range(len(carry))),
        best=groups["best"],
    )
    return state, groups["extra"]


def copy_weights(model: Learner[Any]) -> dict[str, Tensor]:
    """Return a copy of the parameters by name; a tied one appears once."""
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def put_weights(model: Learner[Any], weights: Named) -> None:
    """Write ``weights`` into ``model``; raises BundleError where names or shapes differ."""
    own = dict(model.named_parameters())
    if own.keys() != weights.keys():
        odd = sorted(own.keys() ^ weights.keys())
        raise BundleError(f"the weights do not fit the model: {', '.join(odd[:3])}")
    with torch.no_grad():
        for name, parameter in own.items():
            if parameter.shape != weights[name].shape:
                raise BundleError(f"the weights do not fit the model: shape of {name}")
            parameter.copy_(weights[name])
