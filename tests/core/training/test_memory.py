import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from core.errors import SpecError
from core.models.learner import LossTerms
from core.training.memory import Halving

FULL = [
    MemoryError(),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    RuntimeError("not enough memory: you tried to allocate 4 bytes"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
]


def describe(row: int) -> str:
    return f"row {row} with 99 tokens, bounded by train.bptt"


class Holding:
    """An attempt that holds at most so many rows; it counts upwards from what rows carry."""

    def __init__(self, limit: int, error: BaseException = FULL[1]) -> None:
        self.limit = limit
        self.error = error
        self.tried: list[int] = []

    def __call__(self, rows, carry) -> LossTerms:
        self.tried.append(len(rows))
        if len(rows) > self.limit:
            raise self.error
        values = torch.from_numpy(rows).double() + (carry[0] if carry else 0)
        total = values.sum()
        return LossTerms(total=total, nll=total, tokens=2 * len(rows), carry=(values,))


@given(count=some.integers(1, 40), limit=some.integers(1, 40), carried=some.booleans())
def test_halves_add_up_to_the_whole_with_every_row_where_it_was(count, limit, carried) -> None:
    rows = np.arange(count) * 3
    carry = (torch.arange(count).double() * 100,) if carried else ()
    whole = Halving(describe).study(Holding(count), rows, carry)
    tight = Holding(limit)
    halving = Halving(describe)
    parts = halving.study(tight, rows, carry)
    assert parts.nll == whole.nll
    assert parts.tokens == whole.tokens == 2 * count
    assert torch.equal(parts.carry[0], whole.carry[0])
    failed = [tried for tried in tight.tried if tried > limit]
    lows = [rows for at, rows in enumerate(failed) if all(rows < one for one in failed[:at])]
    assert halving.too_large() == lows
    halving.study(tight, rows, carry)
    assert halving.too_large() == []  # that is known by now


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_every_way_to_run_out_of_memory_is_known(error) -> None:
    tight = Holding(2, error)
    Halving(describe).study(tight, np.arange(4), ())
    assert tight.tried == [4, 2, 2]


def test_another_fault_is_not_taken_for_want_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Halving(describe).study(
            Holding(2, RuntimeError("shapes cannot be multiplied")), np.arange(4), ()
        )


def test_a_row_that_does_not_fit_alone_is_described_with_what_can_be_done() -> None:
    with pytest.raises(SpecError, match=r"row 5 with 99 tokens.*train\.bptt.*model\.hidden_dim"):
        Halving(describe).study(Holding(0), np.array([5]), ())


def test_what_a_failed_attempt_held_is_free_before_the_next() -> None:
    alive: list[weakref.ref[torch.Tensor]] = []

    def attempt(rows, carry) -> LossTerms:
        assert all(one() is None for one in alive)
        large = torch.zeros(len(rows))
        alive.append(weakref.ref(large))
        if len(rows) > 1:
            raise MemoryError
        return LossTerms(total=large.sum(), nll=large.sum(), tokens=1)

    gc.disable()
    try:
        Halving(describe).study(attempt, np.arange(4), ())
    finally:
        gc.enable()
    assert len(alive) == 7
