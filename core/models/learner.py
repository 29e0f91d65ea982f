"""What training knows of a model: it can say how wrong it is on a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

BatchT_contra = TypeVar("BatchT_contra", contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossOptions:
    """What is added to the plain likelihood, and whose words the decoder hears."""

    label_smoothing: float = 0.0  # Szegedy et al. 2016, 7
    coverage_weight: float = 0.0  # See et al. 2017, eq. 13
    truth: float = 1.0  # the chance that a step hears the gold word, not the model's own
    generator: torch.Generator | None = None  # decides between the two


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTerms:
    """Sums over the real target tokens of a batch, never means: batches of any size add up."""

    total: Tensor  # (): what is made small, smoothing and coverage included
    nll: Tensor  # (): -log p of the gold tokens, without gradient; what reports tell
    tokens: int
    carry: tuple[Tensor, ...] = ()  # what running text takes along to its next stretch, detached


class Learner(Protocol[BatchT_contra]):
    """A module that can be trained on batches of one kind."""

    def losses(
        self, batch: BatchT_contra, options: LossOptions, carry: tuple[Tensor, ...] = ()
    ) -> LossTerms:
        """Return how wrong the model is on ``batch``; padding never counts."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield what is learned, as ``nn.Module`` does."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield what is learned with its name, as ``nn.Module`` does."""
        ...

    def train(self) -> object:
        """Switch dropout on, as ``nn.Module`` does."""
        ...

    def eval(self) -> object:
        """Switch dropout off, as ``nn.Module`` does."""
        ...


@runtime_checkable
class Parted(Protocol):
    """A learner made of parts that are not to disturb each other."""

    def parts(self) -> Sequence[Sequence[nn.Parameter]]:
        """Return what is learned, by part: the gradients of each are clipped for themselves."""
        ...
