"""A batch that does not fit into memory is taken in halves; sums make that the same batch."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.data.sampling import Rows
from core.errors import SpecError
from core.models.learner import LossTerms

Carry = tuple[Tensor, ...]
_SIGNS = ("out of memory", "not enough memory", "can't allocate memory")


@dataclass(frozen=True, slots=True)
class Studied:
    """What came of a batch, without the graph that led to it."""

    nll: Tensor  # () float64, summed over its tokens
    tokens: int
    carry: Carry = ()


class Halving:
    """Tries a batch whole, then in halves, down to single rows."""

    def __init__(self, describe: Callable[[int], str]) -> None:
        """Take how a row is described that does not even fit alone."""
        self._describe = describe
        self._too_large: list[int] = []
        self._smallest: int | None = None  # of all that did not fit so far

    def study(
        self, attempt: Callable[[Rows, Carry], LossTerms], rows: Rows, carry: Carry
    ) -> Studied:
        """Return the sums of ``attempt`` over ``rows``, with row i of ``carry`` for row i.

        An attempt that fails for want of memory must leave nothing behind. Raises SpecError
        where a single row does not fit.
        """
        studied = _try(attempt, rows, carry)
        if studied is not None:
            return studied
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(rows) == 1:
            raise SpecError(
                "one example alone does not fit into memory: "
                f"{self._describe(int(rows[0]))}; lower these, or model.hidden_dim",
                field="train.batch_size",
            )
        if self._smallest is None or len(rows) < self._smallest:
            self._smallest = len(rows)
            self._too_large.append(len(rows))
        middle = len(rows) // 2
        first = self.study(attempt, rows[:middle], tuple(one[:middle] for one in carry))
        second = self.study(attempt, rows[middle:], tuple(one[middle:] for one in carry))
        return Studied(
            nll=first.nll + second.nll,
            tokens=first.tokens + second.tokens,
            carry=tuple(torch.cat(both) for both in zip(first.carry, second.carry, strict=True)),
        )

    def too_large(self) -> list[int]:
        """Return how many rows batches had that did not fit since this was last asked.

        Only those are told with fewer rows than all before: most batches are of one size.
        """
        told, self._too_large = self._too_large, []
        return told


def _try(attempt: Callable[[Rows, Carry], LossTerms], rows: Rows, carry: Carry) -> Studied | None:
    """Return none where memory ran out; by then what the attempt held is free again."""
    try:
        terms = attempt(rows, carry)
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not isinstance(error, MemoryError) and not any(s in str(error) for s in _SIGNS):
            raise
        return None
    return Studied(terms.nll.detach().double(), terms.tokens, terms.carry)
