import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.decoding.engine import Ended, Engine, Event, Failed, Request, Told
from core.decoding.reading import ALONE
from core.decoding.step import Wish
from core.errors import InputError, MalgilError, ReplyTimeoutError
from core.specs import DecodeSpec
from core.text.tokenizer import EOS
from tests.core.decoding.tables import Table, random_table

BAD = 9  # a source token that breaks the model


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Fragile(Table):
    """Breaks at the third word of a row whose source is BAD, or at once where it is BAD + 1."""

    def start(self, source: Tensor, source_mask: Tensor) -> Tensor:
        if (source[:, 0] == BAD + 1).any():
            raise RuntimeError("cannot be read")
        return torch.stack([source[:, 0], torch.zeros_like(source[:, 0])], dim=1)

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, None, Tensor]:
        if ((state[:, 0] == BAD) & (state[:, 1] == 2)).any():
            raise RuntimeError("the third word is too much")
        logits, _, _ = super().step(tokens, state[:, 0] % len(self.log_probs))
        return logits, None, state + torch.tensor([0, 1])


class Numberless(Table):
    """Is not a number for a row whose source is BAD."""

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, None, Tensor]:
        logits, _, _ = super().step(tokens, state % len(self.log_probs))
        logits[state == BAD] = float("nan")
        return logits, None, state


def request(key: int, spec: DecodeSpec, source: Sequence[int] = (0,), **more: object) -> Request:
    return Request(key=key, source=tuple(source), wish=Wish(spec=spec), **more)


GREEDY = DecodeSpec(beam_size=1, max_tokens=8)
specs = st.one_of(
    st.builds(
        lambda seed, draws: DecodeSpec(
            beam_size=1, temperature=1.0, seed=seed, n_best=draws, max_tokens=9
        ),
        st.integers(0, 99),
        st.integers(1, 3),
    ),
    st.builds(
        lambda width, longest, generic: DecodeSpec(
            beam_size=width,
            n_best=width,
            max_tokens=longest,
            anti_generic=generic if width > 1 else 0.0,
        ),
        st.integers(1, 4),
        st.integers(1, 8),
        st.sampled_from([0.0, 0.0, 0.5]),
    ),
)


def run(engine: Engine[Tensor], steps: int = 1000) -> list[Event]:
    events: list[Event] = []
    for _ in range(steps):
        if engine.idle:
            return events
        events += engine.step()
    raise AssertionError("the engine never came to an end")


def answers(events: Sequence[Event]) -> dict[int, list]:
    return {event.key: event.hypotheses for event in events if isinstance(event, Ended)}


def failures(events: Sequence[Event]) -> dict[int, Exception]:
    return {event.key: event.error for event in events if isinstance(event, Failed)}


def heard(events: Sequence[Event]) -> dict[int, tuple[int, ...]]:
    tokens: dict[int, list[int]] = defaultdict(list)
    for event in events:
        if isinstance(event, Told):
            tokens[event.key] += event.tokens
    return {key: tuple(said) for key, said in tokens.items()}


@given(
    seed=st.integers(0, 1000),
    wanted=st.lists(specs, min_size=1, max_size=12),
    lines=st.integers(4, 20),
)
@settings(max_examples=60, deadline=None)
def test_who_comes_and_goes_gets_what_it_gets_alone(seed, wanted, lines) -> None:
    table, chance = random_table(6, 6, seed), random.Random(seed)
    engine = Engine(table, max_lines=lines, max_tokens=200)
    events: list[Event] = []
    for key, spec in enumerate(wanted):
        engine.submit(request(key, spec, (key % 6,), priority=chance.randrange(3)))
        for _ in range(chance.randrange(4)):
            events += engine.step()
    events += run(engine)
    found = answers(events)
    for key, spec in enumerate(wanted):
        alone = Engine(table)
        alone.submit(request(key, spec, (key % 6,)))
        single = run(alone)
        assert [one.tokens for one in found[key]] == [one.tokens for one in answers(single)[key]]
        scores = [one.score for one in answers(single)[key]]
        assert [one.score for one in found[key]] == pytest.approx(scores, abs=1e-5)
        assert heard(events).get(key, ()) == found[key][0].tokens
        assert len(found[key]) <= spec.n_best


def test_tokens_are_told_while_others_still_wait_for_theirs() -> None:
    table = random_table(1, 6, seed=5)
    table.log_probs[:, :, EOS] = -50.0  # nothing ends by itself
    engine = Engine(table)
    engine.submit(request(0, GREEDY))
    assert [type(event) for event in engine.step()] == [Told]
    engine.submit(request(1, GREEDY))
    events = engine.step()
    while {event.key for event in events} != {0, 1}:
        assert [type(event) for event in events] == [Told]
        events = engine.step()
    ended = {event.key: event for event in run(engine) if isinstance(event, Ended)}
    assert ended[0].company == ended[1].company == 2


def test_who_is_cancelled_leaves_and_the_others_do_not_notice() -> None:
    table = random_table(3, 6, seed=1)
    table.log_probs[:, :, EOS] -= 20.0  # nothing ends at once
    alone = Engine(table)
    alone.submit(request(0, DecodeSpec(max_tokens=8), (1,)))
    expected = answers(run(alone))[0]
    engine = Engine(table, max_lines=12)
    for key in range(5):  # the last two have to wait
        engine.submit(request(key, DecodeSpec(max_tokens=8), (1 if key == 1 else 2,)))
    engine.step()
    for key in (0, 2, 4, 77):
        engine.cancel(key)
    found = answers(run(engine))
    assert set(found) == {1, 3}
    assert found[1] == expected


def test_a_cancelled_question_of_the_engine_itself_leaves_with_who_asked() -> None:
    table = random_table(2, 6, seed=1)
    engine = Engine(table)
    engine.submit(request(0, DecodeSpec(anti_generic=0.5, max_tokens=3)))
    for _ in range(100):
        engine.step()
        if engine.waiting:  # the question, whose source has not been read
            break
    engine.cancel(0)
    assert engine.idle
    assert not run(engine)


def test_a_deadline_ends_who_waits_and_who_runs() -> None:
    clock = Clock()
    table = random_table(1, 6, seed=5)
    table.log_probs[:, :, EOS] = -50.0
    engine = Engine(table, max_lines=1, clock=clock)
    engine.submit(request(0, GREEDY, deadline=5.0))
    engine.submit(request(1, GREEDY, deadline=3.0))
    engine.submit(request(2, GREEDY))
    engine.step()
    clock.now = 4.0
    assert isinstance(failures(engine.step())[1], ReplyTimeoutError)
    clock.now = 6.0
    assert isinstance(failures(engine.step())[0], ReplyTimeoutError)
    assert set(answers(run(engine))) == {2}


def test_the_urgent_overtake_the_others() -> None:
    engine = Engine(random_table(1, 6, seed=5), max_lines=1)
    for key, priority in enumerate((0, 5, -3)):
        engine.submit(request(key, GREEDY, priority=priority))
    assert list(answers(run(engine))) == [2, 0, 1]


@pytest.mark.parametrize("bad", [BAD, BAD + 1])
def test_who_breaks_the_model_fails_alone_and_nothing_is_told_twice(bad: int) -> None:
    log_probs = random_table(4, 6, seed=2).log_probs
    log_probs[:, :, EOS] = -50.0
    table = Fragile(log_probs)
    wanted = [DecodeSpec(beam_size=1 + key % 3, max_tokens=6) for key in range(7)]
    engine = Engine(table)
    for key, spec in enumerate(wanted):
        engine.submit(request(key, spec, (bad if key == 4 else key % 4,)))
    events = run(engine)
    assert list(failures(events)) == [4]
    found = answers(events)
    for key in set(range(7)) - {4}:
        alone = Engine(table)
        alone.submit(request(key, wanted[key], (key % 4,)))
        assert found[key] == answers(run(alone))[key]
        assert heard(events)[key] == found[key][0].tokens


@pytest.mark.parametrize("width", [1, 3])
def test_numbers_that_are_none_fail_alone(width: int) -> None:
    engine = Engine(Numberless(random_table(4, 6, seed=2).log_probs))
    for key in range(4):
        spec = DecodeSpec(beam_size=width, max_tokens=6)
        engine.submit(request(key, spec, (BAD if key == 2 else key,)))
    events = run(engine)
    assert isinstance(failures(events)[2], MalgilError)
    assert set(answers(events)) == {0, 1, 3}


class Unsociable(Table):
    """Cannot be joined to others where its source is BAD."""

    def start(self, source: Tensor, source_mask: Tensor) -> Tensor:
        return source[:, 0]

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, None, Tensor]:
        logits, _, _ = super().step(tokens, state % len(self.log_probs))
        return logits, None, state

    def join(self, states: Sequence[Tensor]) -> Tensor:
        if any((state == BAD).any() for state in states[1:]):
            raise RuntimeError("these do not go together")
        return super().join(states)


def test_who_cannot_join_fails_alone_and_nobody_runs_twice() -> None:
    engine = Engine(Unsociable(random_table(2, 6, 1).log_probs))
    engine.submit(request(0, GREEDY))
    ended = [event for event in engine.step() if not isinstance(event, Told)]
    engine.submit(request(1, GREEDY, [0] * 200))  # read apart from a source much shorter
    engine.submit(request(2, GREEDY, [BAD]))
    while not engine.idle:
        ended += [event for event in engine.step() if not isinstance(event, Told)]
    assert sorted(event.key for event in ended) == [0, 1, 2]
    assert [event.key for event in ended if isinstance(event, Failed)] == [2]


def test_a_long_source_is_read_aside_and_answered_as_any_other() -> None:
    table = random_table(3, 6, seed=4)
    engine = Engine(table)
    engine.submit(request(0, GREEDY, (1,) * (ALONE + 1)))
    engine.submit(request(1, GREEDY, (1,)))
    found = answers(run(engine))
    assert found[0] == found[1]


def test_who_was_cancelled_while_being_read_harms_nobody_where_joining_fails() -> None:
    table = random_table(2, 6, seed=1)
    table.log_probs[:, :, EOS] = -50.0  # nothing ends by itself
    engine = Engine(Unsociable(table.log_probs))
    engine.submit(request(0, DecodeSpec(beam_size=1, max_tokens=400), [0] * (ALONE + 1)))
    while not engine.running:
        engine.step()
    engine.submit(request(1, GREEDY, [BAD] * (ALONE + 1)))
    engine.step()
    engine.cancel(1)
    events = run(engine)
    assert list(answers(events)) == [0]
    assert not failures(events)


def test_a_long_source_that_cannot_be_read_fails() -> None:
    engine = Engine(Fragile(random_table(4, 6, seed=2).log_probs))
    engine.submit(request(0, GREEDY, (BAD + 1,) * (ALONE + 1)))
    assert list(failures(run(engine))) == [0]


def test_what_a_model_cannot_do_is_refused_when_it_is_asked_for() -> None:
    engine = Engine(random_table(1, 6, seed=5))
    for options in ({"alignments": True}, {"coverage_penalty": 0.5}):
        with pytest.raises(InputError, match="cannot tell where it looked") as error:
            engine.submit(request(0, DecodeSpec(**options)))
        assert error.value.field == f"decode.{next(iter(options))}"
    short = request(0, DecodeSpec(max_tokens=2))
    with pytest.raises(InputError, match="3 tokens") as error:
        engine.submit(replace(short, wish=replace(short.wish, prefix=(5, 6, 7))))
    assert error.value.field == "decode.prefix"
    beam = request(0, DecodeSpec(max_tokens=2))
    with pytest.raises(InputError, match="more than max_tokens") as error:
        engine.submit(replace(beam, wish=replace(beam.wish, required=((5, 6, 7),))))
    assert error.value.field == "decode.required"
    assert engine.idle
