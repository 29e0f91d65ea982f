import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from core.data.batches import EncodedPairs
from core.data.examples import Exchange
from core.errors import SpecError
from core.models.build import build
from core.models.seq2seq import Seq2Seq
from core.specs import ModelSpec, TokenizerSpec, TrainSpec
from core.text.tokenizer import Tokenizer
from core.training.events import Event, Measured, Progress, Snapshot, Validated
from core.training.lessons import PairLessons
from core.training.loop import fit
from core.training.state import copy_weights, load_state

MODEL = ModelSpec(embedding_dim=12, hidden_dim=16, dropout=0.3)
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
WORDS = ["밥", "먹었어", "오늘", "날씨", "좋다", "hello", "there", "good", "day"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([" ".join(WORDS)], TokenizerSpec(kind="char", vocabulary_size=200))


def pairs(tokenizer: Tokenizer, count: int) -> EncodedPairs:
    said = [" ".join(WORDS[i % 9 : i % 9 + 1 + i % 3]) for i in range(count)]
    return EncodedPairs.encode(
        [Exchange((text,), text[::-1]) for text in said],
        tokenizer,
        max_source_tokens=30,
        max_target_tokens=30,
    )


def fresh(tokenizer: Tokenizer, spec: ModelSpec = MODEL) -> Seq2Seq:
    torch.manual_seed(3)
    return build(spec, vocabulary_size=tokenizer.size)


def run(tokenizer: Tokenizer, model: Seq2Seq, spec: TrainSpec = TRAIN, **more) -> Iterator[Event]:
    train, valid = (PairLessons(pairs(tokenizer, count), spec) for count in (60, 10))
    return fit(model, train=train, valid=valid, spec=spec, **more)


def curve(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, Measured | Validated)]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("killed_at", [1, 6, 7, 15, 23])
def test_a_resumed_run_repeats_the_curve_bit_for_bit(tokenizer, cell, keep, killed_at) -> None:
    spec = TRAIN.model_copy(update={"keep": keep})
    shape = MODEL.model_copy(update={"cell": cell})
    whole_model = fresh(tokenizer, shape)
    whole = list(run(tokenizer, whole_model, spec))

    before: list[Event] = []
    saved = b""
    for event in run(tokenizer, fresh(tokenizer, shape), spec, due=lambda: True):
        before.append(event)
        if isinstance(event, Snapshot):
            saved = event.state.dump({})
            if event.state.counters.step == killed_at:
                break
    torch.manual_seed(99)  # what a new process would find
    resumed_model = fresh(tokenizer, shape)
    torch.manual_seed(98)
    state, _ = load_state(saved)
    after = list(run(tokenizer, resumed_model, spec, resume=state))

    assert curve(before) + curve(after) == curve(whole)
    ours, theirs = copy_weights(resumed_model), copy_weights(whole_model)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_same_seed_gives_the_same_curve_and_another_seed_another(tokenizer) -> None:
    one = curve(list(run(tokenizer, fresh(tokenizer))))
    two = curve(list(run(tokenizer, fresh(tokenizer))))
    other = TRAIN.model_copy(update={"seed": 2})
    three = curve(list(run(tokenizer, fresh(tokenizer), other)))
    assert one == two
    assert one != three


def test_progress_counts_every_slow_step_and_losses_fall(tokenizer) -> None:
    spec = TRAIN.model_copy(update={"max_epochs": 30})
    model = fresh(tokenizer, MODEL.model_copy(update={"dropout": 0.0}))
    seconds = iter(range(10_000))
    events = list(run(tokenizer, model, spec, clock=lambda: float(next(seconds))))
    steps = [event.step for event in events if isinstance(event, Progress) and event.loss]
    assert steps == list(range(1, 8 * 30 + 1))
    losses = [event.loss for event in events if isinstance(event, Measured)]
    assert losses[-1] < losses[0] / 2


def test_training_stops_when_validation_no_longer_improves(tokenizer) -> None:
    spec = TRAIN.model_copy(
        update={"max_epochs": 500, "patience": 2, "validate_every": 4, "learning_rate": 0.5}
    )
    events = list(run(tokenizer, fresh(tokenizer), spec))
    validations = [event for event in events if isinstance(event, Validated)]
    assert [event.best for event in validations[-2:]] == [False, False]
    assert validations[-1].step < 500 * 8


def test_the_best_weights_are_kept_when_asked_for(tokenizer) -> None:
    spec = TRAIN.model_copy(update={"keep": "best", "learning_rate": 0.3, "max_epochs": 6})
    model = fresh(tokenizer)
    seen: dict[int, dict[str, torch.Tensor]] = {}
    best = 0
    for event in run(tokenizer, model, spec):
        if isinstance(event, Validated):
            seen[event.step] = copy_weights(model)
            best = event.step if event.best else best
    kept = copy_weights(model)
    assert all(torch.equal(kept[name], seen[best][name]) for name in kept)


def test_training_stops_at_its_time_limit_counting_earlier_attempts(tokenizer) -> None:
    ticks = iter(range(100_000))
    spec = TRAIN.model_copy(update={"time_limit_s": 40.0, "max_epochs": 1000})
    model = fresh(tokenizer)

    def clock() -> float:
        return float(next(ticks))

    events = list(run(tokenizer, model, spec, clock=clock))
    assert 10 < max(event.step for event in events if isinstance(event, Progress)) < 60
    last = [event for event in events if isinstance(event, Snapshot)][-1].state
    assert last.counters.elapsed_s >= 40
    resumed = replace(last, counters=replace(last.counters, done=False))
    more = list(run(tokenizer, fresh(tokenizer), spec, resume=resumed, clock=clock))
    assert sum(isinstance(event, Progress) and event.loss is not None for event in more) == 1


def test_a_loss_that_is_no_number_names_the_step_and_the_setting(tokenizer) -> None:
    model = fresh(tokenizer)
    with torch.no_grad():
        model.generator.weight.fill_(math.nan)
    with pytest.raises(SpecError, match=r"step 1.*learning_rate"):
        list(run(tokenizer, model))
