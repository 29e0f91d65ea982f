"""What a training tells while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.training.state import TrainingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """On what it runs, and why: once, before the first step of an attempt."""

    device: str  # as torch names it
    precision: str  # fp32 or bf16
    reason: str  # why that precision
    processes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is; after updates and validation batches, not after all quick ones; at the end."""

    step: int
    total_steps: int  # if nothing stops it early; epochs to come are taken to be like this one
    epoch: int
    loss: float | None  # of the last update, per token; none beside a validation
    learning_rate: float
    tokens_per_s: float
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Mean training loss per token over the last ``report_every`` steps: a point of the curve.

    It is -log p of the gold tokens: smoothing and coverage are learned from, not reported.
    """

    step: int
    epoch: int
    loss: float
    learning_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """Loss per token on held-out examples, without smoothing: a point of the curve."""

    step: int
    epoch: int
    valid_loss: float
    valid_perplexity: float
    best: bool
    scores: Mapping[str, float] = field(default_factory=dict)  # of held-out examples, decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """A batch did not fit into memory and was taken in two; the update is the same."""

    step: int  # updates made before it
    rows: int  # of the batch that did not fit


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The listener asked for one through ``due``; training can go on from it exactly."""

    state: TrainingState


Event = Started | Progress | Measured | Validated | Divided | Snapshot
