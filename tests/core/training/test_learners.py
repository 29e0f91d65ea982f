"""The contract between training and models, for those that stand in and for real ones."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from core.models.build import build
from core.models.learner import LossOptions
from core.specs import ModelSpec, TrainSpec
from core.training.lessons import Lessons
from tests.core.training.learners import WORDS, Bigrams, Follower, pair_lessons, text_lessons

SPEC = TrainSpec(batch_size=4, bptt=5)
SMALL = ModelSpec(embedding_dim=8, hidden_dim=8)
TEXT = ModelSpec(encoder="none", bidirectional=False, embedding_dim=8, hidden_dim=8, cell="lstm")


def real(spec: ModelSpec) -> nn.Module:
    torch.manual_seed(0)
    return build(spec, vocabulary_size=WORDS)


Case = tuple[Callable[[], nn.Module], Lessons[Any]]
CASES: dict[str, Case] = {
    "bigrams": (Bigrams, pair_lessons(20, SPEC)),
    "follower": (Follower, text_lessons(60, SPEC)),
    "seq2seq": (lambda: real(SMALL), pair_lessons(20, SPEC)),
    "language model": (lambda: real(TEXT), text_lessons(60, SPEC)),
}


@pytest.mark.parametrize(("make", "lessons"), CASES.values(), ids=CASES)
def test_losses_are_sums_and_rows_may_be_taken_apart(make, lessons) -> None:
    model = make().eval()
    options = LossOptions(label_smoothing=0.1 if isinstance(model, Bigrams) else 0.0)
    carry: tuple[torch.Tensor, ...] = ()
    for rows in list(lessons.batches(0))[:2]:
        whole = model.losses(lessons.take(rows), options, carry)
        parts = [
            model.losses(lessons.take(rows[cut]), options, tuple(one[cut].clone() for one in carry))
            for cut in (slice(0, 1), slice(1, None))
        ]
        assert whole.tokens == sum(part.tokens for part in parts)
        for name in ("total", "nll"):
            apart = sum(getattr(part, name) for part in parts)
            torch.testing.assert_close(getattr(whole, name), apart)
        if lessons.carries:
            carry = whole.carry
            for number, one in enumerate(carry):
                assert one.size(0) == len(rows)
                assert not one.requires_grad
                torch.testing.assert_close(one, torch.cat([part.carry[number] for part in parts]))


@pytest.mark.parametrize(("make", "lessons"), CASES.values(), ids=CASES)
def test_what_is_made_small_has_a_gradient_and_what_is_reported_has_none(make, lessons) -> None:
    model = make()
    terms = model.losses(lessons.take(lessons.batches(0)[0]), LossOptions(label_smoothing=0.1))
    torch.autograd.backward(terms.total)
    assert not terms.nll.requires_grad
    assert terms.total.shape == terms.nll.shape == ()
    assert all(one.grad is not None for one in model.parameters())


@pytest.mark.parametrize("name", ["bigrams", "seq2seq"])
def test_a_model_that_hears_itself_is_decided_by_the_generator_alone(name) -> None:
    make, lessons = CASES[name]
    model = make().eval()
    batch = lessons.take(lessons.batches(0)[0])

    def loss(seed: int, truth: float) -> float:
        torch.manual_seed(seed + 100)
        chance = torch.Generator().manual_seed(seed)
        return model.losses(batch, LossOptions(truth=truth, generator=chance)).nll.item()

    plain = model.losses(batch, LossOptions()).nll.item()
    assert loss(1, 0.5) == loss(1, 0.5)
    assert len({loss(seed, 0.5) for seed in range(5)}) > 1
    assert loss(1, 0.0) == loss(2, 0.0) != plain
