"""The best of exact logits, found by bytes: never another than the product itself would find."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from core.models.products import packs_integers
from core.models.screening import Screen

pytestmark = pytest.mark.skipif(not packs_integers(), reason="this CPU sums no bytes exactly")

WORDS, FEATURES = 300, 64
NEVER = torch.tensor([0, 3])


def some(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def exactly(weight: Tensor, bias: Tensor, features: Tensor) -> Tensor:
    logits = functional.linear(features.double(), weight.double(), bias.double())
    return logits.index_fill(1, NEVER, -math.inf)


@given(
    seed=st.integers(0, 10_000),
    rows=st.sampled_from([1, 2, 9, 33]),
    apart=st.sampled_from([1.0, 1e-1, 1e-2]),
)
def test_it_finds_what_the_product_finds(seed: int, rows: int, apart: float) -> None:
    """Words are near copies of a few: the highest logits are ``apart`` by about so much."""
    kinds = some(seed, 5, FEATURES)
    weight = kinds[torch.arange(WORDS) % 5] + apart * some(seed + 1, WORDS, FEATURES)
    bias = apart * some(seed + 2, WORDS)
    features = some(seed + 3, rows, FEATURES).tanh()
    found = Screen(weight, bias, bound=1.0).best(features, NEVER)
    exact = exactly(weight, bias, features)
    if found is None:  # more than a few come close: no answer, but never a wrong one
        assert apart < 1
        return
    values, words = found
    best = exact.gather(1, words.unsqueeze(1)).squeeze(1)
    assert best.sub(exact.amax(1)).abs().max() < 1e-5
    assert values.sub(best).abs().max() < 0.6  # bytes were enough where it stands alone


def test_a_word_that_is_a_hair_better_is_found() -> None:
    weight, features = some(1, WORDS, FEATURES), some(2, 4, FEATURES).tanh()
    weight[7] = weight[200] = 3 * features[0]
    bias = torch.zeros(WORDS)
    bias[200] = 1e-4
    found = Screen(weight, bias, bound=1.0).best(features, NEVER)
    assert found is not None
    assert found[1][0] == 200
    bias[7] = 2e-4
    found = Screen(weight, bias, bound=1.0).best(features, NEVER)
    assert found is not None
    assert found[1][0] == 7


def test_features_that_are_no_numbers_are_left_to_the_product() -> None:
    screen = Screen(some(1, WORDS, FEATURES), some(2, WORDS), bound=1.0)
    features = some(3, 3, FEATURES).tanh()
    features[1, 5] = math.nan
    assert screen.best(features, NEVER) is None
