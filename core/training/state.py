"""Everything that an exact resume needs, as one safetensors file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from json import dumps, loads
from typing import Any

import torch
from torch import Tensor

from core.data.tensorfile import pack, unpack
from core.errors import BundleError
from core.models.learner import Learner

FORMAT = "malgil-state-1"


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
    stale: int = 0  # validations since the best
    elapsed_s: float = 0.0  # of training, all attempts together
    done: bool = False


@dataclass(frozen=True, slots=True)
class TrainingState:
    """A moment between two steps, from which the same curve goes on bit for bit."""

    counters: Counters
    weights: Mapping[str, Tensor]
    first_moments: Mapping[str, Tensor]  # of Adam
    second_moments: Mapping[str, Tensor]
    generator: Tensor  # torch's own, for dropout
    best: Mapping[str, Tensor] = field(default_factory=dict)  # weights of the best validation

    def dump(self, extra: Mapping[str, Tensor]) -> bytes:
        """Write as bytes, with ``extra`` tensors beside; the same state gives the same bytes."""
        groups = {
            "weights": self.weights,
            "first": self.first_moments,
            "second": self.second_moments,
            "best": self.best,
            "extra": extra,
        }
        tensors = {
            f"{group}/{name}": tensor
            for group, named in groups.items()
            for name, tensor in named.items()
        }
        notes = {"format": FORMAT, "counters": dumps(asdict(self.counters))}
        return pack({**tensors, "generator": self.generator}, notes)


def load_state(data: bytes) -> tuple[TrainingState, dict[str, Tensor]]:
    """Read what ``dump`` wrote: the state and the extra tensors; raises BundleError if damaged."""
    tensors, notes = unpack(data)
    if notes.get("format") != FORMAT:
        raise BundleError(f"not a training state of format {FORMAT}")

    def group(prefix: str) -> dict[str, Tensor]:
        mark = f"{prefix}/"
        return {name.removeprefix(mark): t for name, t in tensors.items() if name.startswith(mark)}

    state = TrainingState(
        counters=Counters(**loads(notes["counters"])),
        weights=group("weights"),
        first_moments=group("first"),
        second_moments=group("second"),
        generator=tensors["generator"],
        best=group("best"),
    )
    return state, group("extra")


def copy_weights(model: Learner[Any]) -> dict[str, Tensor]:
    """Return a copy of the parameters by name; a tied one appears once."""
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def put_weights(model: Learner[Any], weights: Mapping[str, Tensor]) -> None:
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
