"""Averages of the weights: what is validated and kept, while the raw weights go on learning."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from core.specs import TrainSpec

Weights = list[Tensor]


class Average(Protocol):
    """Hears of updates and validations; says what the weights are on average."""

    def after_update(self) -> None:
        """Take the weights of an update in."""
        ...

    def before_validation(self) -> None:
        """Take the weights in that are about to be validated."""
        ...

    def after_validation(self, *, stale: int) -> bool:
        """Hear for how many validations there was no new best; return whether to count anew."""
        ...

    def weights(self) -> Weights | None:
        """Return the average, not a copy; none while the raw weights stand for themselves."""
        ...

    def dump(self) -> tuple[list[Weights], int]:
        """Return what it holds, not copies, and how many updates it has taken in."""
        ...

    def load(self, held: Sequence[Weights], taken: int) -> None:
        """Go on from copies of what ``dump`` returned."""
        ...


def make_average(spec: TrainSpec, raw: Weights) -> Average:
    """Return the average that ``spec`` names, of ``raw``, the weights while they learn."""
    if spec.average == "ema":
        return MovingAverage(raw, decay=spec.ema_decay)
    if spec.average == "last":
        return LastValidations(raw, count=spec.average_last)
    if spec.average == "triggered":
        return SinceTrigger(raw, patience=spec.average_patience)
    return NoAverage()


class NoAverage:
    """The raw weights are all there is."""

    def after_update(self) -> None:
        """Do nothing."""

    def before_validation(self) -> None:
        """Do nothing."""

    def after_validation(self, *, stale: int) -> bool:
        """Do nothing."""
        del stale
        return False

    def weights(self) -> Weights | None:
        """Return none."""
        return None

    def dump(self) -> tuple[list[Weights], int]:
        """Return nothing."""
        return [], 0

    def load(self, held: Sequence[Weights], taken: int) -> None:
        """Do nothing."""


class MovingAverage:
    """An exponential moving average with a warm start: early on it forgets faster.

    After t updates it keeps min(decay, (1 + t) / (10 + t)) of itself, so that the random first
    weights are soon gone.
    """

    def __init__(self, raw: Weights, *, decay: float) -> None:
        self._raw = raw
        self._decay = decay
        self._taken = 0
        self._average = _copy(raw)

    def after_update(self) -> None:
        """Move a little towards the raw weights."""
        self._taken += 1
        keep = min(self._decay, (1 + self._taken) / (10 + self._taken))
        _move(self._average, self._raw, 1 - keep)

    def before_validation(self) -> None:
        """Do nothing."""

    def after_validation(self, *, stale: int) -> bool:
        """Do nothing."""
        del stale
        return False

    def weights(self) -> Weights | None:
        """Return the average."""
        return self._average

    def dump(self) -> tuple[list[Weights], int]:
        """Return the average."""
        return [self._average], self._taken

    def load(self, held: Sequence[Weights], taken: int) -> None:
        """Go on from ``held``."""
        self._average, self._taken = _beside(held[0], self._raw), taken


class LastValidations:
    """The mean of the weights at the last few validations, the present one among them."""

    def __init__(self, raw: Weights, *, count: int) -> None:
        self._raw = raw
        self._held: deque[Weights] = deque(maxlen=count)

    def after_update(self) -> None:
        """Do nothing."""

    def before_validation(self) -> None:
        """Remember the raw weights; the oldest that are held make room."""
        self._held.append(_copy(self._raw))

    def after_validation(self, *, stale: int) -> bool:
        """Do nothing."""
        del stale
        return False

    def weights(self) -> Weights | None:
        """Return their mean; none before the first validation."""
        if not self._held:
            return None
        return [torch.stack(same).mean(0) for same in zip(*self._held, strict=True)]

    def dump(self) -> tuple[list[Weights], int]:
        """Return the weights of each validation, the oldest first."""
        return list(self._held), 0

    def load(self, held: Sequence[Weights], taken: int) -> None:
        """Go on from ``held``."""
        del taken
        self._held.extend(_beside(weights, self._raw) for weights in held)


class SinceTrigger:
    """The mean of the weights of all updates since validations stopped finding a new best.

    Source: Merity et al. 2018, algorithm 1 (NT-ASGD).
    """

    def __init__(self, raw: Weights, *, patience: int) -> None:
        self._raw = raw
        self._patience = patience
        self._average: Weights | None = None  # until it is triggered
        self._taken = 0

    def after_update(self) -> None:
        """Take the raw weights into the mean, once that is triggered."""
        if self._average is not None:
            self._taken += 1
            _move(self._average, self._raw, 1 / self._taken)

    def before_validation(self) -> None:
        """Do nothing."""

    def after_validation(self, *, stale: int) -> bool:
        """Begin if there was no new best for long enough; say so, for patience counts anew."""
        if self._average is not None or stale < self._patience:
            return False
        self._average, self._taken = _copy(self._raw), 1
        return True

    def weights(self) -> Weights | None:
        """Return the mean; none before it is triggered."""
        return self._average

    def dump(self) -> tuple[list[Weights], int]:
        """Return the mean if there is one."""
        return [] if self._average is None else [self._average], self._taken

    def load(self, held: Sequence[Weights], taken: int) -> None:
        """Go on from ``held``."""
        if held:
            self._average, self._taken = _beside(held[0], self._raw), taken


def by_name(held: Sequence[Weights], names: Sequence[str]) -> dict[str, Tensor]:
    """Return copies of the tensors of ``held`` as ``NUMBER/NAME``."""
    return {
        f"{number}/{name}": value.clone()
        for number, weights in enumerate(held)
        for name, value in zip(names, weights, strict=True)
    }


def by_number(tensors: Mapping[str, Tensor], names: Sequence[str]) -> list[Weights]:
    """Return what ``by_name`` was given."""
    count = len(tensors) // max(len(names), 1)
    return [[tensors[f"{number}/{name}"] for name in names] for number in range(count)]


def _copy(weights: Sequence[Tensor]) -> Weights:
    return [weight.detach().clone() for weight in weights]


def _beside(weights: Sequence[Tensor], raw: Weights) -> Weights:
    """Return copies of ``weights`` on the devices of ``raw``."""
    return [one.to(own.device, copy=True) for one, own in zip(weights, raw, strict=True)]


@torch.no_grad()
def _move(average: Weights, raw: Weights, share: float) -> None:
    torch._foreach_lerp_(average, raw, share)
