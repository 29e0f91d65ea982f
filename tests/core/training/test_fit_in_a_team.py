"""A team learns what one process learns from the same batches."""

from typing import Any

import pytest
import torch

from core.specs import TrainSpec
from core.training.events import Event, Measured, Snapshot, Started, Validated
from core.training.loop import fit
from core.training.state import copy_weights, load_state
from core.training.team import ALONE, Team
from tests.core.training.crews import together
from tests.core.training.learners import Bigrams, Follower, pair_lessons, text_lessons

SPEC = TrainSpec(
    batch_size=8,
    max_epochs=3,
    warmup_steps=2,
    learning_rate=0.05,
    validate_every=4,
    report_every=2,
    patience=None,
    bptt=4,
    average="ema",
    accumulate=2,
)


def curve(events: list[Event]) -> list[tuple[int, float]]:
    points = [
        (one.step, one.loss if isinstance(one, Measured) else one.valid_loss)
        for one in events
        if isinstance(one, Measured | Validated)
    ]
    assert len(points) > 3
    return points


def pairs(team: Team, spec: TrainSpec = SPEC, **more: Any) -> tuple[list[Event], Any]:
    """61 examples: the last batch of an epoch has 5, and one of 9 held-out ones is left over."""
    model = Bigrams(dropout=0.0)
    lessons, exam = pair_lessons(61, spec), pair_lessons(17, spec, seed=1)
    return list(fit(model, train=lessons, valid=exam, spec=spec, team=team, **more)), model


def text(team: Team, **more: Any) -> tuple[list[Event], Any]:
    model = Follower()
    model.dropout.p = 0.0
    lessons, exam = text_lessons(300, SPEC), text_lessons(60, SPEC)
    return list(fit(model, train=lessons, valid=exam, spec=SPEC, team=team, **more)), model


@pytest.mark.parametrize("work", [pairs, text])
@pytest.mark.parametrize("size", [2, 3])
def test_the_curve_is_that_of_one_process_up_to_rounding(work, size) -> None:
    expected, single = work(ALONE)
    found = together(size, work)
    for events, model in found:
        assert curve(events) == curve(found[0][0])  # bit for bit among themselves
        for ours, theirs in zip(curve(events), curve(expected), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)
        weights = copy_weights(model)
        for name, weight in copy_weights(single).items():
            torch.testing.assert_close(weights[name], weight, rtol=1e-3, atol=1e-4)
            assert torch.equal(weights[name], copy_weights(found[0][1])[name])
    assert {one.processes for one in found[0][0] if isinstance(one, Started)} == {size}


def test_a_team_larger_than_the_batches_leaves_some_without_rows() -> None:
    small = SPEC.model_copy(update={"batch_size": 2})
    expected, _ = pairs(ALONE, small)
    for events, _ in together(3, lambda team: pairs(team, small)):
        for ours, theirs in zip(curve(events), curve(expected), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("work", [pairs, text])
def test_rank_0_alone_saves_and_scores_and_all_go_on_from_what_it_saved(work) -> None:
    calls: list[int] = []

    def from_the_beginning(team: Team) -> tuple[list[Event], Any]:
        def score() -> dict[str, float]:
            calls.append(team.rank)
            return {}

        return work(team, due=lambda: team.rank == 0, score=score)

    whole = together(2, from_the_beginning)
    saved = [[one for one in events if isinstance(one, Snapshot)] for events, _ in whole]
    assert set(calls) == {0}
    assert saved[1] == []
    middle = saved[0][5]
    data = middle.state.dump({})
    index = whole[0][0].index(middle)

    after = together(2, lambda team: work(team, resume=load_state(data)[0]))
    ours = [one for one in after[0][0] if isinstance(one, Measured | Validated)]
    theirs = [one for one in whole[0][0][index:] if isinstance(one, Measured | Validated)]
    assert ours == theirs


def test_the_clock_of_rank_0_ends_the_training_of_all() -> None:
    spec = SPEC.model_copy(update={"time_limit_s": 5.0, "max_epochs": 100})

    def work(team: Team) -> tuple[list[Event], Any]:
        ticks = iter(range(10_000))
        return pairs(team, spec, clock=lambda: float(next(ticks)) if team.rank == 0 else 0.0)

    found = together(2, work)
    ends = [max(e.step for e in events if isinstance(e, Validated)) for events, _ in found]
    assert ends[0] == ends[1] <= 6


def test_a_state_may_be_taken_up_by_a_team_of_another_size() -> None:
    (events, _), _ = together(2, lambda team: pairs(team, due=lambda: True))
    middle = [one.state for one in events if isinstance(one, Snapshot)][3]
    alone, _ = pairs(ALONE, resume=middle)
    expected = curve(events)[-len(curve(alone)) :]
    for ours, theirs in zip(curve(alone), expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
