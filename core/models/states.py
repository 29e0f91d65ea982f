"""What decoding carries from step to step."""

from collections.abc import Sequence
from typing import Protocol, Self

from torch import Tensor


class State(Protocol):
    """What a decoder knows of each row after a step; states themselves never change."""

    def select(self, rows: Tensor, /) -> Self:
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        ...

    def join(self, others: Sequence[Self], /) -> Self:
        """Put the rows of ``others`` behind these."""
        ...
