"""Requests that ask for anything, and the ways in which they can meet others."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from structlog.testing import capture_logs
from torch import Tensor
from torch.nn import functional

from core.decoding.engine import Ended, Engine, Failed, Request
from core.decoding.step import SIGNS, Finder, Hypothesis, Wish
from core.errors import InputError
from core.models.build import Network
from core.specs import DecodeSpec, ModelSpec
from tests.core.decoding.networks import a_source, first_of, fresh, spell
from tests.core.models.family import VOCABULARY

LONGEST_SOURCE = 20
Answer = list[Hypothesis] | str  # or why there is none
Answers = dict[int, Answer]

CHOICES: Mapping[str, Sequence[Any]] = {  # the first is what a request has that does not ask
    "beam_size": (1, 1, 2, 3, 4, 8),
    "n_best": (1, 1, 2, 3),
    "length_penalty": (1.0, 0.0, 0.6, 2.0),
    "coverage_penalty": (0.0, 0.5),
    "beam_groups": (1, 2),
    "diversity": (0.0, 0.5),
    "anti_generic": (0.0, 0.4),
    "temperature": (None, 0.5, 1.3),
    "top_k": (None, 3),
    "top_p": (None, 0.6),
    "min_tokens": (0, 4),
    "max_tokens": (9, 3, 6, 14),
    "no_repeat_ngram": (0, 1, 2),
    "repetition_penalty": (1.0, 1.7),
    "alignments": (False, True),
}


def some_requests(spec: ModelSpec, count: int, seed: int) -> list[Request]:
    """Return requests to a network of ``spec``; each has a few options, drawn by ``seed``."""
    chance = random.Random(f"{seed} {spec}")
    return [_request(spec, key, chance) for key in range(count)]


def _request(spec: ModelSpec, key: int, chance: random.Random) -> Request:
    source = a_source(spec, chance.randrange(1000), chance.randint(1, LONGEST_SOURCE))
    decode = _decode(chance, looks=fresh(spec).tells_attention)
    searches = decode.beam_size > 1 and decode.beam_groups == 1
    copied = source[-1] if spec.copy_source else 5
    ids = _ids(chance, searches=searches, copied=copied)
    if len(ids.get("prefix", ())) > decode.max_tokens:
        del ids["prefix"]
    wish = Wish(spec=decode, spell=spell, **first_of(spec, source), **ids)
    return Request(key=key, source=source, wish=wish, priority=chance.randint(0, 2))


def _decode(chance: random.Random, *, looks: bool) -> DecodeSpec:
    """Return a spec that is admitted, most options of which say something."""
    while True:
        values = {
            name: chance.choice(known) if chance.random() < 0.5 else known[0]
            for name, known in CHOICES.items()
            if looks or name not in {"coverage_penalty", "alignments"}
        }
        try:
            return DecodeSpec(**values, seed=chance.randrange(100))
        except ValidationError:
            continue


def _ids(chance: random.Random, *, searches: bool, copied: int) -> dict[str, Any]:
    """Return what a request wants in ids and spellings."""
    word = lambda: chance.randrange(5, VOCABULARY)  # noqa: E731
    wanted: dict[str, Callable[[], Any]] = {
        "never": lambda: (*SIGNS, word(), word()),
        "prefix": lambda: (word(), word()),
        "banned": lambda: (spell(word()), spell(word()) + spell(word())),
        "stop": lambda: (spell(word()) + spell(word()),),
        "required": lambda: ((word(),), (word(), copied)),
    }
    return {
        name: make()
        for name, make in wanted.items()
        if chance.random() < 0.25 and (searches or name != "required")
    }


class Padded:
    """A network whose every source has more padding than its company asks for."""

    def __init__(self, model: Network, padding: int) -> None:
        self.model = model
        self.padding = padding
        self.tells_attention = model.tells_attention

    def start(self, source: Tensor, source_mask: Tensor) -> Any:
        wider = (0, self.padding)
        return self.model.start(
            functional.pad(source, wider), functional.pad(source_mask, wider, value=False)
        )

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Tensor | None, Any]:
        return self.model.step(tokens, state)

    def select(self, state: Any, rows: Tensor) -> Any:
        return self.model.select(state, rows)

    def join(self, states: Sequence[Any]) -> Any:
        return self.model.join(states)


class PaddedFinder(Padded):
    """The same of a network that finds the likeliest word by itself."""

    def best(self, *asked: Any) -> Any:
        return self.model.best(*asked)

    def permit(self, state: Any, words: Any) -> Any:
        return self.model.permit(state, words)


def together(model: Any, requests: Sequence[Request], **limits: int) -> Answers:
    """Submit all at once."""
    return arriving(model, requests, lambda: len(requests), **limits)


def arriving(
    model: Any, requests: Sequence[Request], how_many: Callable[[], int], **limits: int
) -> Answers:
    """Submit ``how_many()`` of the requests before each step; none may break a batch."""
    with capture_logs() as told:
        found = _arriving(Engine(model, **limits), requests, how_many)
    assert not told, told  # a batch that begins anew gives the same answers, but late
    return found


def _arriving(
    engine: Engine[Any], requests: Sequence[Request], how_many: Callable[[], int]
) -> Answers:
    waiting, found = list(reversed(requests)), {}
    while waiting or not engine.idle:
        for _ in range(min(how_many(), len(waiting))):
            request = waiting.pop()
            try:
                engine.submit(request)
            except InputError as error:
                found[request.key] = str(error)
        for event in engine.step():
            if isinstance(event, Failed):
                found[event.key] = str(event.error)
            if isinstance(event, Ended):
                found[event.key] = event.hypotheses
    return found


def ways(
    spec: ModelSpec, requests: Sequence[Request], model: Network | None = None
) -> Iterator[tuple[str, Answers]]:
    """Yield how the requests met others, and what they got; ``model`` if not the fresh one."""
    model, chance = model or fresh(spec), random.Random(0)
    for size in (7, 64):
        found: Answers = {}
        for start in range(0, len(requests), size):
            found |= together(model, requests[start : start + size])
        yield f"batches of {size}", found
    padded = PaddedFinder if isinstance(model, Finder) else Padded
    yield "padded", together(padded(model, 5), requests[:64])
    yield "shuffled", together(model, chance.sample(requests, len(requests)))
    yield "arriving", arriving(model, requests, lambda: chance.choice((0, 0, 1, 2, 5)))
    crowded = {"max_lines": 12, "max_tokens": 400}
    yield "crowded", arriving(model, requests, lambda: chance.choice((0, 1, 9)), **crowded)


@dataclass(frozen=True)
class Difference:
    """How far two answers to the same request are apart."""

    same: bool  # in their tokens
    score: float = 0.0  # the largest difference of a score
    figure: float = 0.0  # and of anything else that is told: sums, of each token, attention


def difference(one: Answer, other: Answer) -> Difference:
    """Compare two answers."""
    if isinstance(one, str) or isinstance(other, str):
        return Difference(same=one == other)
    said, also = ([(each.tokens, each.ended) for each in some] for some in (one, other))
    if said != also:
        return Difference(same=False)
    pairs = list(zip(one, other, strict=True))
    return Difference(
        same=True,
        score=max(abs(left.score - right.score) for left, right in pairs),
        figure=max(
            abs(a - b)
            for left, right in pairs
            for a, b in zip(_figures(left), _figures(right), strict=True)
        ),
    )


def _figures(one: Hypothesis) -> list[float]:
    attention = [] if one.attention is None else one.attention.flatten().tolist()
    return [one.log_prob, *one.token_log_probs, *attention]
