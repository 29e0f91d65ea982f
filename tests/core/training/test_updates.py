import pytest
import torch

from core.models.learner import LossOptions
from core.specs import TrainSpec
from core.training.precision import full_precision
from core.training.state import copy_weights
from core.training.team import ALONE
from core.training.updates import Updates
from tests.core.training.learners import Bigrams, Cramped, Follower, pair_lessons, text_lessons

SPEC = TrainSpec(batch_size=8, optimiser="sgd", clip_norm=1e9, bptt=5)


def updates(model, lessons, spec: TrainSpec = SPEC) -> Updates:
    precision = full_precision(model.parameters())
    chance = torch.Generator().manual_seed(0)
    return Updates(model, lessons, spec, precision=precision, forcing=chance, team=ALONE)


def after(model, lessons, batches, spec: TrainSpec = SPEC) -> dict[str, torch.Tensor]:
    nll, tokens = updates(model, lessons, spec).make(batches, rate=0.5, truth=1.0)
    assert tokens == sum(lessons.take(rows).target_mask[:, 1:].sum() for rows in batches)
    assert nll.dtype == torch.float64
    return copy_weights(model)


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight)


def test_several_batches_make_the_update_of_one_as_large_as_all_of_them() -> None:
    lessons = pair_lessons(24, SPEC)
    batches = list(lessons.batches(0))
    large = torch.cat([torch.from_numpy(rows) for rows in batches]).numpy()
    apart = after(Bigrams(dropout=0.0), lessons, batches)
    assert_same(apart, after(Bigrams(dropout=0.0), lessons, [large]))


@pytest.mark.parametrize("limit", [1, 3, 5, 8])
def test_a_batch_that_does_not_fit_gives_the_update_that_it_would_have_given(limit) -> None:
    lessons = pair_lessons(24, SPEC)
    batches = list(lessons.batches(0))  # of 8 rows, accumulated: what failed must leave no trace
    cramped = Cramped(limit, dropout=0.0)
    assert_same(after(cramped, lessons, batches), after(Bigrams(dropout=0.0), lessons, batches))
    assert (max(cramped.tries), min(cramped.tries) <= limit) == (8, True)


def test_the_update_is_the_mean_gradient_over_real_tokens() -> None:
    lessons = pair_lessons(8, SPEC)
    (rows,) = lessons.batches(0)
    model = Bigrams(dropout=0.0)
    before = copy_weights(model)
    terms = model.losses(lessons.take(rows), LossOptions(label_smoothing=0.1))
    torch.autograd.backward(terms.total / terms.tokens)
    expected = {name: before[name] - 0.5 * one.grad for name, one in model.named_parameters()}
    assert_same(after(Bigrams(dropout=0.0), lessons, [rows]), expected)


def test_what_is_frozen_stays_and_the_rest_learns() -> None:
    lessons = pair_lessons(8, SPEC)
    model = Bigrams()
    model.embedding.weight.requires_grad_(False)
    before = copy_weights(model)
    weights = after(model, lessons, list(lessons.batches(0)))
    changed = {name for name, one in weights.items() if not torch.equal(one, before[name])}
    assert changed == {"output.weight", "output.bias"}


def test_running_text_is_carried_from_batch_to_batch_until_it_is_forgotten() -> None:
    lessons = text_lessons(100, SPEC)
    model = Follower().eval()
    made = updates(model, lessons)
    first, second = list(lessons.batches(0))[:2]
    expected = model.losses(lessons.take(first), LossOptions()).carry
    made.make([first], rate=1e-9, truth=1.0)
    torch.testing.assert_close(made.carry[0], expected[0])
    onward = model.losses(lessons.take(second), LossOptions(), expected).nll
    nll, _ = made.make([second], rate=1e-9, truth=1.0)
    torch.testing.assert_close(nll.float(), onward)
    made.forget()
    alone, _ = made.make([second], rate=1e-9, truth=1.0)
    assert not torch.isclose(alone.float(), onward)


def test_long_gradients_are_cut_to_the_norm_of_the_spec() -> None:
    spec = SPEC.model_copy(update={"clip_norm": 1e-3})
    lessons = pair_lessons(8, spec)
    before = copy_weights(Bigrams())
    weights = after(Bigrams(), lessons, list(lessons.batches(0)), spec)
    moved = torch.cat([(weights[name] - before[name]).flatten() for name in before])
    assert moved.norm().item() == pytest.approx(0.5e-3, rel=1e-2)


class Apart(Bigrams):
    """Bigrams whose output is a part by itself."""

    def parts(self):
        return [list(self.embedding.parameters()), list(self.output.parameters())]


def test_parts_are_clipped_each_for_itself() -> None:
    lessons = pair_lessons(24, SPEC)
    batches = list(lessons.batches(0))
    spec = SPEC.model_copy(update={"clip_norm": 0.01})
    before = copy_weights(Apart(dropout=0.0))

    def moved(model) -> list[float]:
        found = after(model, lessons, batches, spec)
        parts = (("embedding",), ("output",))
        return [
            sum(
                ((found[name] - before[name]) / 0.5).square().sum().item()
                for name in found
                if name.startswith(part)
            )
            ** 0.5
            for part in parts
        ]

    assert moved(Apart(dropout=0.0)) == pytest.approx([0.01, 0.01], rel=1e-3)
    whole = moved(Bigrams(dropout=0.0))
    assert sum(one**2 for one in whole) ** 0.5 == pytest.approx(0.01, rel=1e-3)
