import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import torch
from torch import nn

from core.errors import SpecError
from core.models.build import build
from core.specs import ModelSpec, TrainSpec
from core.training.events import Event, Measured, Progress, Snapshot, Started, Validated
from core.training.loop import fit
from core.training.state import copy_weights, load_state
from core.training.validation import validation_losses
from tests.core.training.learners import WORDS, Bigrams, pair_lessons

TRAIN = TrainSpec(
    batch_size=8,
    max_epochs=4,
    warmup_steps=4,
    learning_rate=0.01,
    validate_every=7,
    report_every=3,
    patience=None,
    snapshot_every_s=0,
)


def run(model: nn.Module, spec: TrainSpec = TRAIN, **more: Any) -> Iterator[Event]:
    train, valid = pair_lessons(60, spec), pair_lessons(10, spec, seed=1)
    return fit(model, train=train, valid=valid, spec=spec, **more)


def seconds() -> Any:
    """A clock on which every look takes a second."""
    ticks = count()
    return lambda: float(next(ticks))


def curve(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, Measured | Validated)]


def real(cell: str) -> nn.Module:
    torch.manual_seed(3)
    spec = ModelSpec(embedding_dim=12, hidden_dim=16, dropout=0.3, cell=cell)
    return build(spec, vocabulary_size=WORDS)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("killed_at", [1, 7, 23])
def test_a_real_model_resumes_bit_for_bit(cell, killed_at) -> None:
    whole_model = real(cell)
    whole = list(run(whole_model))

    before: list[Event] = []
    saved = b""
    for event in run(real(cell), due=lambda: True):
        before.append(event)
        if isinstance(event, Snapshot):
            saved = event.state.dump({})
            if event.state.counters.step == killed_at:
                break
    torch.manual_seed(99)  # what a new process would find
    resumed_model = real(cell)
    torch.manual_seed(98)
    state, _ = load_state(saved)
    after = list(run(resumed_model, resume=state))

    assert curve(before) + curve(after) == curve(whole)
    ours, theirs = copy_weights(resumed_model), copy_weights(whole_model)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_same_seed_gives_the_same_curve_and_another_seed_another() -> None:
    one, two = (curve(list(run(Bigrams()))) for _ in range(2))
    three = curve(list(run(Bigrams(), TRAIN.model_copy(update={"seed": 2}))))
    assert one == two
    assert one != three


def test_it_says_first_on_what_it_runs() -> None:
    first = next(run(Bigrams()))
    assert isinstance(first, Started)
    assert (first.device, first.processes) == ("cpu", 1)


def test_progress_counts_every_slow_step_and_losses_fall() -> None:
    spec = TRAIN.model_copy(update={"max_epochs": 30, "learning_rate": 0.1})
    events = list(run(Bigrams(dropout=0.0), spec, clock=seconds()))
    steps = [event.step for event in events if isinstance(event, Progress) and event.loss]
    assert steps == list(range(1, 8 * 30 + 1))
    assert {event.total_steps for event in events if isinstance(event, Progress)} == {8 * 30}
    losses = [event.loss for event in events if isinstance(event, Measured)]
    assert losses[-1] < losses[0] / 1.5


def test_quick_steps_are_told_every_now_and_then() -> None:
    ticks = count()
    events = list(run(Bigrams(), clock=lambda: next(ticks) * 0.005))
    steps = [event.step for event in events if isinstance(event, Progress) and event.loss]
    assert 4 <= len(steps) <= 8
    assert steps[0] == 1


def test_what_is_measured_is_the_mean_over_the_tokens_since_the_last_report() -> None:
    spec = TRAIN.model_copy(update={"validate_every": None})
    lessons = pair_lessons(60, spec)
    batches = [lessons.take(rows) for epoch in range(4) for rows in lessons.batches(epoch)]
    tokens = [int(batch.target_mask[:, 1:].sum()) for batch in batches]
    events = list(run(Bigrams(), spec, clock=seconds()))
    losses = [event.loss for event in events if isinstance(event, Progress) and event.loss]
    for event in events:
        if isinstance(event, Measured):
            last = slice(event.step - 3, event.step)
            told = sum(loss * n for loss, n in zip(losses[last], tokens[last], strict=True))
            assert event.loss == pytest.approx(told / sum(tokens[last]))


def test_training_stops_when_validation_no_longer_improves() -> None:
    changes = {"max_epochs": 500, "patience": 2, "validate_every": 4, "learning_rate": 0.5}
    events = list(run(Bigrams(), TRAIN.model_copy(update=changes)))
    validations = [event for event in events if isinstance(event, Validated)]
    assert [event.best for event in validations[-2:]] == [False, False]
    assert validations[-1].step < 500 * 8


def test_a_trigger_lets_patience_begin_anew() -> None:
    changes = {
        "max_epochs": 500,
        "patience": 2,
        "validate_every": 4,
        "optimiser": "sgd",
        "learning_rate": 20.0,
        "clip_norm": 50.0,
    }
    plain = TRAIN.model_copy(update=changes)
    averaged = plain.model_copy(update={"average": "triggered", "average_patience": 2})
    ends = [
        max(event.step for event in run(Bigrams(), spec) if isinstance(event, Validated))
        for spec in (plain, averaged)
    ]
    assert ends[1] > ends[0]


@pytest.mark.parametrize("average", ["none", "ema", "last"])
def test_the_best_weights_are_kept_when_asked_for(average) -> None:
    changes = {"keep": "best", "learning_rate": 0.5, "max_epochs": 6, "average": average}
    model = Bigrams()
    seen: dict[int, dict[str, torch.Tensor]] = {}
    best = 0
    for event in run(model, TRAIN.model_copy(update=changes)):
        if isinstance(event, Validated):
            seen[event.step] = copy_weights(model)
            best = event.step if event.best else best
    kept = copy_weights(model)
    assert all(torch.equal(kept[name], seen[best][name]) for name in kept)


@pytest.mark.parametrize("average", ["ema", "last"])
def test_averages_are_validated_and_kept_while_the_raw_weights_go_on(average) -> None:
    spec = TRAIN.model_copy(update={"average": average, "keep": "last"})
    model, plain = Bigrams(), Bigrams()
    states = [e.state for e in run(model, spec, due=lambda: True) if isinstance(e, Snapshot)]
    raw = [
        event.state
        for event in run(plain, spec.model_copy(update={"average": "none"}), due=lambda: True)
        if isinstance(event, Snapshot)
    ]
    for ours, theirs in zip(states, raw, strict=True):
        assert all(torch.equal(ours.weights[name], theirs.weights[name]) for name in theirs.weights)
    kept, last = copy_weights(model), copy_weights(plain)
    assert not any(torch.equal(kept[name], last[name]) for name in last)
    if average == "ema":
        held = states[-1].averages
        assert all(torch.equal(kept[name], held[f"0/{name}"]) for name in kept)


def test_scores_are_taken_of_the_weights_that_are_validated_and_change_nothing() -> None:
    spec = TRAIN.model_copy(update={"average": "ema"})
    model = Bigrams()
    lessons = pair_lessons(10, spec, seed=1)

    def score() -> dict[str, float]:
        assert not model.training
        torch.rand(100)  # who decodes may draw
        losses = list(validation_losses(model, lessons))
        return {"again": sum(loss for loss, _ in losses) / sum(tokens for _, tokens in losses)}

    events = list(run(model, spec, score=score))
    validations = [event for event in events if isinstance(event, Validated)]
    assert all(event.scores == {"again": event.valid_loss} for event in validations)
    without = curve(list(run(Bigrams(), spec)))
    unscored = [replace(one, scores={}) if one in validations else one for one in curve(events)]
    assert unscored == without


def test_validation_reads_every_example_once_without_dropout_or_smoothing() -> None:
    model, lessons = Bigrams(dropout=0.9), pair_lessons(23, TRAIN)
    told = list(validation_losses(model, lessons))
    assert not model.training
    assert len(told) == 2  # batches of twice the size
    alone = [
        (loss, tokens)
        for spec in [TRAIN.model_copy(update={"batch_size": 1})]
        for loss, tokens in validation_losses(model, pair_lessons(23, spec))
    ]
    for part in range(2):
        assert sum(one[part] for one in told) == pytest.approx(sum(one[part] for one in alone))


def test_without_an_interval_each_epoch_ends_with_a_validation() -> None:
    spec = TRAIN.model_copy(update={"validate_every": None, "accumulate": 3})
    steps = [event.step for event in run(Bigrams(), spec) if isinstance(event, Validated)]
    assert steps == [3, 6, 9, 12]  # 8 batches: two updates of three, one of two


def test_training_stops_at_its_time_limit_counting_earlier_attempts() -> None:
    spec = TRAIN.model_copy(update={"time_limit_s": 40.0, "max_epochs": 1000})
    model = Bigrams()
    events = list(run(model, spec, clock=seconds()))
    assert 10 < max(event.step for event in events if isinstance(event, Progress)) < 60
    last = [event for event in events if isinstance(event, Snapshot)][-1].state
    assert last.counters.elapsed_s >= 40
    resumed = replace(last, counters=replace(last.counters, done=False))
    more = list(run(Bigrams(), spec, resume=resumed, clock=seconds()))
    assert sum(isinstance(event, Progress) and event.loss is not None for event in more) == 1


def test_a_loss_that_is_no_number_names_the_step_and_the_setting() -> None:
    model = Bigrams()
    with torch.no_grad():
        model.output.weight.fill_(math.nan)
    with pytest.raises(SpecError, match=r"step 1.*learning_rate"):
        list(run(model))


def test_a_loss_that_is_no_number_is_never_saved() -> None:
    """A quick step is not told, so the snapshot after it has to look."""
    model = Bigrams()
    seen = 0

    def due() -> bool:
        nonlocal seen
        seen += 1
        with torch.no_grad():
            model.output.weight.fill_(math.nan)
        return seen == 2

    events = run(model, due=due, clock=lambda: 0.0)
    with pytest.raises(SpecError, match=r"step 2.*learning_rate"):
        next(event for event in events if isinstance(event, Snapshot))
