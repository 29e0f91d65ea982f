import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from core.models.cross_entropy import cross_entropy_sum

FEATURES = 6


def layer(count: int, words: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    made = torch.Generator().manual_seed(count * words)
    features = torch.randn(count, FEATURES, generator=made, dtype=dtype)
    weight = torch.randn(words, FEATURES, generator=made, dtype=dtype)
    bias = torch.randn(words, generator=made, dtype=dtype)
    gold = torch.randint(0, words, (count,), generator=made)
    return *(one.requires_grad_() for one in (features, weight, bias)), gold


@settings(deadline=None, max_examples=30)
@given(
    count=st.integers(1, 150),
    words=st.sampled_from([2, 7, 70_000]),
    smoothing=st.sampled_from([0.0, 0.1, 0.9]),
)
def test_sums_and_gradients_are_those_of_whole_logits(
    count: int, words: int, smoothing: float
) -> None:
    *given, gold = layer(count, words)
    total, nll = cross_entropy_sum(*given, gold, smoothing)
    found = torch.autograd.grad(3 * total, given)
    logits = functional.linear(*given)
    expected = functional.cross_entropy(logits, gold, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(
        nll, functional.cross_entropy(logits, gold, reduction="sum").detach()
    )
    for own, right in zip(found, torch.autograd.grad(3 * expected, given), strict=True):
        torch.testing.assert_close(own, right)
    assert not nll.requires_grad


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradients_are_those_of_finite_differences(smoothing: float) -> None:
    *given, gold = layer(5, 7)
    assert torch.autograd.gradcheck(
        lambda *some: cross_entropy_sum(*some, gold, smoothing)[0], given
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_what_no_gradient_is_asked_of_costs_the_same(smoothing: float) -> None:
    *given, gold = layer(70, 11)
    total, nll = cross_entropy_sum(*given, gold, smoothing)
    with torch.inference_mode():
        looked = cross_entropy_sum(*given, gold, smoothing)
    torch.testing.assert_close(looked, (total.detach(), nll))


def test_nothing_to_predict_costs_nothing() -> None:
    *given, _ = layer(1, 7)
    none = given[0][:0]
    total, nll = cross_entropy_sum(none, *given[1:], torch.zeros(0, dtype=torch.int64), 0.1)
    total.backward()
    assert (total.item(), nll.item()) == (0.0, 0.0)
    assert given[1].grad is not None
    assert given[1].grad.eq(0).all()


def test_halves_stay_close_to_floats() -> None:
    *given, gold = layer(100, 300, torch.float32)
    total, nll = cross_entropy_sum(*given, gold, 0.1)
    expected = torch.autograd.grad(total, given)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, rounded_nll = cross_entropy_sum(*given, gold, 0.1)
    found = torch.autograd.grad(rounded, given)
    torch.testing.assert_close(rounded, total, rtol=0.01, atol=0)
    torch.testing.assert_close(rounded_nll, nll, rtol=0.01, atol=0)
    for own, right in zip(found, expected, strict=True):
        assert own.dtype == torch.float32
        assert (own - right).norm() < 0.02 * right.norm()


def test_a_word_that_is_all_but_impossible_costs_a_number() -> None:
    features = torch.ones(1, 1, requires_grad=True)
    weight = torch.tensor([[0.0], [500.0]], requires_grad=True)
    total, _ = cross_entropy_sum(
        features, weight, torch.zeros(2, requires_grad=True), torch.zeros(1, dtype=torch.int64)
    )
    total.backward()
    assert total.isfinite()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, torch.tensor([[-1.0], [1.0]]))
