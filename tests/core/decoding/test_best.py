import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decoding.best import best_of, log_z

NEVER = -math.inf


def expected(logits: torch.Tensor, count: int) -> list[list[tuple[float, int]]]:
    """The best by a sort of all of them; what is impossible is left out."""
    tables = [sorted((-value, id_) for id_, value in enumerate(line)) for line in logits.tolist()]
    return [[(-value, id_) for value, id_ in line[:count] if value < math.inf] for line in tables]


def found(logits: torch.Tensor, count: int) -> list[list[tuple[float, int]]]:
    values, ids = best_of(logits, count)
    lines = zip(values.tolist(), ids.tolist(), strict=True)
    return [[pair for pair in zip(*line, strict=True) if pair[0] > NEVER] for line in lines]


@pytest.mark.parametrize("size", [(1, 7), (3, 6), (5, 190), (20, 6000), (30, 6001), (4, 32007)])
@pytest.mark.parametrize("count", [1, 2, 10, 32])
def test_the_best_are_those_of_a_full_sort(size: tuple[int, int], count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    logits = torch.randn(*size, generator=generator)
    assert found(logits, count) == expected(logits, count)


@given(seed=st.integers(0, 10_000), kinds=st.integers(1, 40), count=st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_of_equals_the_lower_id_comes_first(seed: int, kinds: int, count: int) -> None:
    """Wide and narrow lines take different ways; both have the same answer."""
    generator = torch.Generator().manual_seed(seed)
    for size in ((3, 50), (40, 3000)):
        logits = torch.randint(-kinds, kinds, size, generator=generator).float()
        logits[logits < -kinds / 2] = NEVER
        assert found(logits, count) == expected(logits, count)


def test_a_line_has_the_same_best_in_any_company() -> None:
    logits = torch.randn(50, 4000, generator=torch.Generator().manual_seed(1)).round(decimals=1)
    together = found(logits, 20)
    for line in range(50):
        assert found(logits[[line]], 20)[0] == together[line]
        assert found(logits[[line]], 7)[0] == together[line][:7]


def test_hardly_anything_may_be_said() -> None:
    logits = torch.full((40, 5000), NEVER)
    logits[3, 17], logits[3, 4999], logits[4, 0] = -2.0, -1.0, 5.0
    answer = found(logits, 10)
    assert answer[3:5] == [[(-1.0, 4999), (-2.0, 17)], [(5.0, 0)]]
    assert not any(answer[:3] + answer[5:])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_numbers_are_ranked_too(dtype: torch.dtype) -> None:
    logits = torch.randn(30, 5000, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert found(logits, 5) == expected(logits, 5)


@pytest.mark.parametrize("size", [(1, 3), (7, 500), (45, 6000)])
def test_the_sum_is_that_of_exact_arithmetic(size: tuple[int, int]) -> None:
    logits = torch.randn(*size, generator=torch.Generator().manual_seed(2)) * 5
    torch.testing.assert_close(log_z(logits), logits.double().logsumexp(-1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("shift", [-500.0, -60.0, 80.0, 3000.0])
def test_logits_far_from_zero_have_a_sum_as_exact(shift: float) -> None:
    logits = torch.randn(6, 100, generator=torch.Generator().manual_seed(3)) + shift
    logits[2] -= shift  # a line by itself, near zero
    torch.testing.assert_close(log_z(logits), logits.double().logsumexp(-1), atol=1e-6, rtol=0)


def test_what_is_impossible_adds_nothing_and_what_is_broken_has_no_sum() -> None:
    logits = torch.zeros(5, 4)
    logits[0, 1:] = NEVER
    logits[1] = NEVER
    logits[2, 3] = math.nan
    logits[3, 0] = math.inf
    sums = log_z(logits)
    assert sums[0] == 0.0
    assert sums[1:4].isnan().all()
    assert sums[4].item() == pytest.approx(math.log(4))


def test_log_probabilities_stay_what_they_are() -> None:
    logits = torch.randn(9, 3000, generator=torch.Generator().manual_seed(4)).log_softmax(-1)
    torch.testing.assert_close(log_z(logits), torch.zeros(9).double(), atol=1e-6, rtol=0)
