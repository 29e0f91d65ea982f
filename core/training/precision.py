"""How numbers are rounded while a model learns, and on what it runs."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from core.models.precision import fast_bf16
from core.specs import TrainSpec

# bf16 against fp32 over one update, 64 rows of 20 tokens, one thread of a Xeon with AMX: width 32
# 0.7 to 1.0 times as fast, 64 0.85 to 1.25, 128 1.0 to 1.5, 192 1.2 to 1.7, 256 1.5 to 1.8, 512
# 1.6 to 2.3, over GRU, LSTM and Transformer with few and with 8,000 words. The same Xeon told to
# do without AMX is 0.7 times as fast at 192 to 512: avx512_bf16 alone is no reason for bf16.
_WIDE = 128

BatchT = TypeVar("BatchT")


@dataclass(frozen=True, slots=True)
class Precision:
    """What matrices are multiplied in; weights and what the optimiser remembers stay fp32."""

    device: torch.device
    name: Literal["fp32", "bf16"]
    reason: str

    def context(self) -> AbstractContextManager[object]:
        """Return a context in which torch multiplies as told."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def pick_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def full_precision(parameters: Iterable[nn.Parameter]) -> Precision:
    """Return fp32 on the device of ``parameters``."""
    return Precision(next(iter(parameters)).device, "fp32", "as asked")


def choose_precision(spec: TrainSpec, parameters: Iterable[nn.Parameter]) -> Precision:
    """Return what ``spec.precision`` comes to on the device of ``parameters``, and why."""
    held = list(parameters)
    device = held[0].device
    if spec.precision != "auto":
        return Precision(device, spec.precision, "as the plan says")
    if not fast_bf16(device):
        return Precision(device, "fp32", f"this {device.type} is not faster in bf16")
    width = max((min(one.shape) for one in held if one.dim() > 1), default=0)
    if width < _WIDE:
        return Precision(device, "fp32", f"a model of width {width} gains nothing from bf16")
    return Precision(device, "bf16", f"this {device.type} is faster in bf16 at width {width}")


def to_device(batch: BatchT, device: torch.device) -> BatchT:
    """Return ``batch``, a dataclass of tensors, on ``device``."""
    if device.type == "cpu":
        return batch
    if not is_dataclass(batch) or isinstance(batch, type):
        raise TypeError(f"a batch is a dataclass of tensors, not {type(batch).__name__}")
    moved = {
        one.name: value.to(device, non_blocking=True)
        for one in fields(batch)
        if isinstance(value := getattr(batch, one.name), Tensor)
    }
    return replace(batch, **moved)
