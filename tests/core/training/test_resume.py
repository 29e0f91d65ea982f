"""Every option of training, taken up again in the middle: not a bit may differ."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from core.specs import TrainSpec, merge
from core.training.events import Divided, Event, Measured, Snapshot, Validated
from core.training.loop import fit
from core.training.passage_lessons import PassageLessons
from core.training.state import Counters, TrainingState, copy_weights, load_state
from tests.core.models.askers import SPECS, asker, encoded
from tests.core.training.learners import Bigrams, Cramped, Follower, pair_lessons, text_lessons

PLAIN: dict[str, Any] = {
    "batch_size": 8,
    "max_epochs": 4,
    "warmup_steps": 4,
    "learning_rate": 0.05,
    "validate_every": 5,
    "report_every": 3,
    "patience": None,
    "bptt": 4,
}
SGD: dict[str, Any] = {"optimiser": "sgd", "learning_rate": 0.5}
TRIGGERED: dict[str, Any] = {"average": "triggered", "average_patience": 1, "clip_norm": 50.0}
OPTIONS: dict[str, dict[str, Any]] = {
    "adam": {"weight_decay": 0.01},
    "sgd": SGD,
    "momentum": {**SGD, "momentum": 0.9},
    "rmsprop": {"optimiser": "rmsprop"},
    "linear": {"decay": "linear"},
    "constant": {"decay": "constant", "warmup_steps": 0},
    "cosine": {"decay": "cosine"},
    "plateau": {"decay": "plateau", "learning_rate": 1.0, "validate_every": 2},
    "bf16": {"precision": "bf16"},
    "budget": {"batch_tokens": 60},
    "accumulate": {"accumulate": 3},
    "ema": {"average": "ema", "ema_decay": 0.9},
    "last": {"average": "last", "average_last": 3, "validate_every": 2},
    "ema kept last": {"average": "ema", "keep": "last"},
    "last kept last": {"average": "last", "average_last": 2, "keep": "last"},
    "triggered": {**SGD, **TRIGGERED, "learning_rate": 9.0, "validate_every": 2},
    "linear forcing": {"forcing": "linear", "forcing_steps": 20},
    "sigmoid forcing": {"forcing": "sigmoid", "forcing_steps": 5},
    "free running": {"forcing": "free"},
    "validation after epochs": {"validate_every": None},
    "patience": {"patience": 2, "learning_rate": 2.0, "validate_every": 2, "max_epochs": 50},
    "all at once": {
        "accumulate": 2,
        "average": "ema",
        "decay": "plateau",
        "forcing": "sigmoid",
        "precision": "bf16",
        "batch_tokens": 70,
        "validate_every": 3,
    },
}
TEXTS: dict[str, dict[str, Any]] = {
    "running text": {},
    "running text, accumulated": {"accumulate": 3},
    "running text, triggered": {**SGD, **TRIGGERED, "learning_rate": 99.0, "validate_every": 2},
}
LONGER: dict[str, Any] = {"batch_size": 2, "max_epochs": 8, "learning_rate": 0.01}
PASSAGES: dict[str, dict[str, Any]] = {
    "pointer": {**LONGER, "coverage_weight": 0.5},
    "note": {**LONGER, "average": "ema", "ema_decay": 0.9},
    "separate": {**LONGER, "forcing": "linear", "forcing_steps": 20, "precision": "bf16"},
}
KINDS = {"pairs": OPTIONS, "text": TEXTS, "passages": PASSAGES}
CASES = [(kind, name) for kind, options in KINDS.items() for name in options]


def spec_of(kind: str, name: str) -> TrainSpec:
    return TrainSpec(**{**PLAIN, **KINDS[kind][name]})


def learner(kind: str, name: str, **more: Any) -> Any:
    """Return a fresh model; of passages, the network that is called so, with dropout."""
    if kind == "passages":
        return asker(merge(SPECS[name], {"dropout": 0.2}), **more)
    return Bigrams(**more) if kind == "pairs" else Follower(**more)


def train(kind: str, spec: TrainSpec, model: Any = None, **more: Any) -> Iterator[Event]:
    """Train a fresh model, in a process that has drawn who knows what."""
    if kind == "passages":
        fresh, rows = None, PassageLessons(encoded(copied=model.writer.pointer is not None), spec)
        train, valid = rows, rows
    elif kind == "pairs":
        fresh, train, valid = Bigrams(), pair_lessons(60, spec), pair_lessons(10, spec, seed=1)
    else:
        fresh, train, valid = Follower(), text_lessons(200, spec), text_lessons(60, spec)
    return fit(model or fresh, train=train, valid=valid, spec=spec, **more)


def curve(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, Measured | Validated)]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_from_every_step_on_the_curve_is_that_of_the_run_that_never_stopped(kind, name) -> None:
    spec = spec_of(kind, name)
    model = learner(kind, name)
    whole = list(train(kind, spec, model, due=lambda: True))
    expected, kept = curve(whole), copy_weights(model)
    assert len(expected) > 3
    saved = [index for index, event in enumerate(whole) if isinstance(event, Snapshot)]
    for index in saved[2 :: max(1, len(saved) // 4)]:
        snapshot = whole[index]
        state, _ = load_state(snapshot.state.dump({}))
        torch.manual_seed(state.counters.step)  # what a new process would find
        model = learner(kind, name, seed=77)
        after = list(train(kind, spec, model, resume=state))
        assert curve(whole[:index]) + curve(after) == expected
        own = copy_weights(model)
        assert all(torch.equal(own[key], kept[key]) for key in kept)


def test_what_was_resumed_above_really_came_about() -> None:
    def end(kind: str, name: str) -> Counters:
        events = list(train(kind, spec_of(kind, name)))
        return next(one.state.counters for one in events[::-1] if isinstance(one, Snapshot))

    assert end("pairs", "triggered").averaged > 0
    assert end("text", "running text, triggered").averaged > 0
    assert end("pairs", "plateau").plateau_scale < 1
    assert end("pairs", "patience").epoch < 50


def test_a_state_can_be_taken_up_twice() -> None:
    spec = spec_of("pairs", "all at once")
    states = [
        event.state for event in train("pairs", spec, due=lambda: True) if hasattr(event, "state")
    ]
    middle = states[len(states) // 2]
    before = middle.dump({})
    once, again = (curve(list(train("pairs", spec, resume=middle))) for _ in range(2))
    assert once == again
    assert middle.dump({}) == before


def test_a_cramped_run_says_what_did_not_fit_and_resumes_too() -> None:
    spec = TrainSpec(**PLAIN)
    model = Cramped(3)
    whole = list(train("pairs", spec, model, due=lambda: True))
    told = [event for event in whole if isinstance(event, Divided)]
    assert {event.rows for event in told} == {4, 8}  # 60 rows: batches of 8, and one of 4
    index = [at for at, event in enumerate(whole) if isinstance(event, Snapshot)][9]
    after = list(train("pairs", spec, Cramped(3, seed=5), resume=whole[index].state))
    assert curve(whole[:index]) + curve(after) == curve(whole)


def test_a_finished_run_has_nothing_more_to_learn_and_leaves_the_same_weights() -> None:
    spec = spec_of("pairs", "last")
    model = Bigrams()
    last = list(train("pairs", spec, model))[-1]
    assert isinstance(last, Snapshot)
    other = Bigrams(seed=9)
    assert curve(list(train("pairs", spec, other, resume=last.state))) == []
    ours, theirs = copy_weights(other), copy_weights(model)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_every_option_changes_the_curve() -> None:
    """An option that is ignored would resume exactly, too."""
    plain = curve(list(train("pairs", TrainSpec(**PLAIN))))
    for name in OPTIONS:
        if name not in ("adam", "ema kept last", "last kept last"):
            assert curve(list(train("pairs", spec_of("pairs", name)))) != plain, name


def test_the_state_of_a_resumed_run_is_that_of_the_run_that_never_stopped() -> None:
    spec = spec_of("pairs", "all at once")

    def states(**more: Any) -> dict[int, TrainingState]:
        events = train("pairs", spec, due=lambda: True, clock=lambda: 0.0, **more)
        found = [event.state for event in events if isinstance(event, Snapshot)]
        return {state.counters.step: state for state in found}

    whole = states()
    resumed = states(resume=whole[4])
    assert list(resumed) == list(whole)[4:]
    assert all(state.dump({}) == whole[step].dump({}) for step, state in resumed.items())
