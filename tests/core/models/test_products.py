"""Products with weights that no longer change: as exact as they say, alone and in company."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from core.models.products import (
    HalfProduct,
    IntegerProduct,
    Packing,
    PlainProduct,
    packs,
    packs_integers,
)

INPUTS, OUTPUTS, ROWS = 300, 500, 65
WAYS, INTEGER_WAYS = sorted({False, packs()}), sorted({False, packs_integers()})  # of this machine
BOUNDS = pytest.mark.parametrize("bound", [None, 1.0])
ONES = ("fp32", "bf16", "int8")


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def weights() -> tuple[Tensor, Tensor]:
    return numbers(OUTPUTS, INPUTS), numbers(OUTPUTS)


def inputs(*lead: int) -> Tensor:
    return numbers(*lead, INPUTS).tanh()


def off(product: Tensor, given: Tensor) -> float:
    """Return how far a product is from the exact one, as a part of how large that is."""
    weight, bias = weights()
    exact = functional.linear(given, weight, bias)
    return float((product - exact).square().mean().sqrt() / exact.square().mean().sqrt())


def test_packed_floats_are_exact() -> None:
    given = inputs(ROWS)
    assert off(Packing("fp32").product(*weights())(given), given) < 1e-6


@pytest.mark.parametrize("packed", WAYS)
def test_halves_are_off_by_their_rounding(packed: bool) -> None:
    given = inputs(ROWS)
    assert off(HalfProduct(*weights(), packed=packed)(given), given) < 4e-3


@pytest.mark.parametrize("packed", INTEGER_WAYS)
@BOUNDS
def test_bytes_are_off_by_their_rounding(packed: bool, bound: float | None) -> None:
    given = inputs(ROWS)
    product = IntegerProduct(*weights(), bound=bound, packed=packed)
    assert off(product(given), given) < 1.2e-2


@BOUNDS
def test_bytes_sum_to_the_same_packed_or_not(bound: float | None) -> None:
    given = inputs(ROWS)
    one, *other = (IntegerProduct(*weights(), bound=bound, packed=way) for way in INTEGER_WAYS)
    for product in other:
        torch.testing.assert_close(product(given), one(given), rtol=1e-6, atol=1e-5)


@BOUNDS
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_row_is_the_same_to_the_last_bit_in_any_company(
    precision: str, bound: float | None
) -> None:
    given = inputs(200)
    product = Packing(precision).product(*weights(), bound=bound)
    together = product(given)
    for rows in (1, 2, 3, 8, 17, 64, 161):
        assert product(given[:rows]).equal(together[:rows])


@pytest.mark.parametrize("precision", ONES)
@pytest.mark.parametrize("lead", [(1,), (0,), (3, 4), (2, 0)])
@BOUNDS
def test_any_number_of_rows_is_multiplied_and_something_added(
    precision: str, lead: tuple[int, ...], bound: float | None
) -> None:
    weight, bias = weights()
    given, addend = inputs(*lead), numbers(*lead, OUTPUTS)
    before = addend.clone()
    for one in (bias, None):
        product = Packing(precision).product(weight, one, bound=bound)
        exact = functional.linear(given, weight, one)
        torch.testing.assert_close(product(given), exact, atol=0.6, rtol=0)
        torch.testing.assert_close(product(given, addend), exact + addend, atol=0.6, rtol=0)
        assert addend.equal(before)


def test_rows_and_weights_of_zeros_stay_zeros() -> None:
    product = IntegerProduct(torch.zeros(OUTPUTS, INPUTS))
    assert product(inputs(2)).eq(0).all()
    assert IntegerProduct(weights()[0])(torch.zeros(2, INPUTS)).eq(0).all()


def test_a_few_weights_stay_as_they_are() -> None:
    weight = numbers(4, 5)
    assert isinstance(Packing("int8").product(weight, None), PlainProduct)
    assert isinstance(Packing("int8", small=20).product(weight, None), IntegerProduct)
