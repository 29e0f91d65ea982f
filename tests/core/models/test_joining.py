"""Rows that come and go between two steps: nobody's numbers know of the company."""

import random
from dataclasses import dataclass
from functools import cache, lru_cache

import pytest
import torch
from torch import Tensor

from core.models.build import Network
from core.models.language_model import LanguageModel
from core.specs import ModelSpec
from core.text.tokenizer import BOS
from tests.core.models.family import VOCABULARY, label, model_of, padded, pairwise, words

EVERY = pytest.mark.parametrize("spec", pairwise(), ids=label)
CLOSE = {"atol": 1e-5, "rtol": 0.0}


@dataclass
class Line:
    """One row that decoding goes on with: what it was asked, and what it heard."""

    source: list[int]
    heard: list[int]


@cache
def cached_model(spec: ModelSpec) -> Network:
    return model_of(spec).eval()


def sources(spec: ModelSpec, lengths: list[int], first: int) -> list[list[int]]:
    """Return sources of so many words; in some that may be copied, one or two are unknown."""
    found = [words(first + row, length) for row, length in enumerate(lengths)]
    for row, source in enumerate(found):
        for beyond in range(min(row % 3, len(source)) if spec.copy_source else 0):
            source[beyond] = VOCABULARY + beyond
    return found


def first_of(model: Network, source: list[int]) -> int:
    return source[-1] if isinstance(model, LanguageModel) else BOS


@lru_cache(maxsize=256)
def alone(
    model: Network, source: tuple[int, ...], heard: tuple[int, ...]
) -> tuple[Tensor, Tensor | None, object]:
    """Return logits after a line that nobody joined, where it looked, and its state."""
    if not heard:
        return torch.empty(0), None, model.start(*padded([list(source)], 0))
    state = alone(model, source, heard[:-1])[2]
    return model.step(torch.tensor(heard[-1:]), state)


def agree(model: Network, lines: list[Line], logits: Tensor, attention: Tensor | None) -> None:
    """Compare each row with what it is alone."""
    assert (attention is not None) == model.tells_attention
    for row, line in enumerate(lines):
        own, where, _ = alone(model, tuple(line.source), tuple(line.heard))
        log_probs, looked = own[0].log_softmax(-1), None if where is None else where[0]
        said = logits[row].log_softmax(-1)
        torch.testing.assert_close(said[: len(log_probs)], log_probs, **CLOSE)
        assert said[len(log_probs) :].eq(float("-inf")).all()
        if looked is not None:
            assert attention is not None
            torch.testing.assert_close(attention[row, : len(looked)], looked, **CLOSE)
            assert attention[row, len(looked) :].eq(0).all()


class Batch:
    """A batch that rows join and leave, and what they would be alone."""

    def __init__(self, model: Network, spec: ModelSpec) -> None:
        self.model = model
        self.spec = spec
        self.lines: list[Line] = []
        self.state: object = None

    def add(self, lengths: list[int], first: int) -> None:
        """Have new rows join."""
        found = sources(self.spec, lengths, first)
        fresh = self.model.start(*padded(found, 0))
        self.state = self.model.join([self.state, fresh] if self.lines else [fresh])
        self.lines += [Line(source, [first_of(self.model, source)]) for source in found]

    def keep(self, rows: list[int]) -> None:
        """Keep rows, repeats allowed."""
        self.state = self.model.select(self.state, torch.tensor(rows))
        self.lines = [Line(self.lines[row].source, [*self.lines[row].heard]) for row in rows]

    def step(self, chance: random.Random) -> None:
        """Hear the next word of each row, compare what follows, and choose the next."""
        heard = torch.tensor([line.heard[-1] for line in self.lines])
        logits, attention, self.state = self.model.step(heard, self.state)
        agree(self.model, self.lines, logits, attention)
        for line in self.lines:
            line.heard.append(chance.randrange(5, VOCABULARY))


@EVERY
def test_rows_come_and_go_without_being_noticed(spec: ModelSpec) -> None:
    model, chance = cached_model(spec), random.Random(3)
    batch = Batch(model, spec)
    with torch.inference_mode():
        batch.add([3, 7], 0)
        batch.step(chance)
        batch.add([1], 10)  # shorter, and behind: it has written nothing yet
        batch.step(chance)
        batch.keep([1, 1, 0, 2, 1])  # a beam of three beside two others
        batch.step(chance)
        batch.keep([4, 0, 1, 3, 2])
        batch.add([9, 2, 4], 20)  # longer than any before
        batch.step(chance)
        batch.keep([3, 5])  # the longest leave, and those who began
        batch.step(chance)
        batch.add([1, 1], 30)
        batch.step(chance)
        batch.step(chance)


@EVERY
def test_any_rows_come_and_go_without_being_noticed(spec: ModelSpec) -> None:
    model, chance = cached_model(spec), random.Random(label(spec))
    batch = Batch(model, spec)
    with torch.inference_mode():
        for turn in range(6):
            if not batch.lines or chance.random() < 0.5:
                batch.add([chance.randint(1, 8) for _ in range(chance.randint(1, 3))], 10 * turn)
            if chance.random() < 0.7:
                rows = range(len(batch.lines))
                batch.keep([chance.choice(rows) for _ in range(chance.randint(1, 8))])
            batch.step(chance)


@EVERY
def test_several_join_at_once_and_states_stay_as_they_were(spec: ModelSpec) -> None:
    model = cached_model(spec)
    lengths = ([4, 2], [6], [1, 1, 5])
    lines: list[list[Line]] = []
    states = []
    with torch.no_grad():
        for number, some in enumerate(lengths):
            own = sources(spec, some, 10 * number)
            state = model.start(*padded(own, 0))
            heard = [first_of(model, source) for source in own]
            for word in range(5, 5 + number):  # each has come another way
                state = model.step(torch.tensor(heard[-len(own) :]), state)[-1]
                heard += [word] * len(own)
            states.append(state)
            ways = [heard[row :: len(own)] for row in range(len(own))]
            lines.append([Line(source, way) for source, way in zip(own, ways, strict=True)])
        joined = model.join(states)
        every = [line for some in lines for line in some]
        for state, some in ((joined, every), *zip(states, lines, strict=True)):
            for _ in range(2):  # the same again: a step changes no state
                last = torch.tensor([line.heard[-1] for line in some])
                logits, attention, _ = model.step(last, state)
                agree(model, some, logits, attention)


@EVERY
def test_one_state_goes_two_ways(spec: ModelSpec) -> None:
    model = cached_model(spec)
    line = Line(sources(spec, [4], 0)[0], [])
    line.heard.append(first_of(model, line.source))
    with torch.inference_mode():
        state = model.start(*padded([line.source], 0))
        *_, state = model.step(torch.tensor(line.heard), state)
        first, second = Line(line.source, [*line.heard, 6]), Line(line.source, [*line.heard, 7])
        *_, after_first = model.step(torch.tensor([6]), state)
        *_, after_second = model.step(torch.tensor([7]), state)
        for way, after in ((first, after_first), (second, after_second)):
            logits, attention, _ = model.step(torch.tensor([8]), after)
            agree(model, [Line(way.source, [*way.heard, 8])], logits, attention)


def test_states_of_training_are_not_joined() -> None:
    model = model_of(ModelSpec(embedding_dim=8, hidden_dim=8)).train()
    state = model.start(*padded([[5, 6]], 0))
    with pytest.raises(ValueError, match="training"):
        model.join([state, state])
