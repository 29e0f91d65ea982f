"""What a reply costs above its model: HTTP, queue, worker and back, on a real installation.

Two stand-ins come first, behind the real queue and engine: a model that takes 20 ms a batch, and
one that costs nothing. Then the translator, beside the engine alone, with the same sentences and
one thread in this process, in turns. The load is made on the same cores. Fails when one of LIMITS
is missed.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import uvloop

from benchmarks.house import promote, running
from benchmarks.load import Timed, quantile, run, stream
from benchmarks.standin import COST
from benchmarks.translator import checkpoint, open_bundle, ready, validation, wish
from core.decoding.engine import Ended, Engine, Failed, Request, Told
from core.models.build import build
from core.pipelines.bundle import Bundle, write_bundle
from core.settings import Settings
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec
from core.text.stream import TextStream
from core.text.tokenizer import Tokenizer
from services.embedded.children import Child

WISH = replace(wish(1), scored=True)  # every reply tells its score
CLIENTS = 64
ROUNDS = 3
WARM_UP = 100
MODEL = "bench"


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure and what it must not miss."""

    name: str
    found: float
    wanted: float
    unit: str
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Whether it is good enough."""
        return self.found >= self.wanted if self.at_least else self.found <= self.wanted

    def __str__(self) -> str:
        sense = "at least" if self.at_least else "at most"
        missed = "" if self.kept else "  MISSED"
        wanted = f"{sense} {self.wanted:g} wanted"
        return f"{self.name}: {self.found:.2f} {self.unit} ({wanted}){missed}"


def main(bundle: Path | None = None) -> bool:
    """Measure and print; returns whether all limits were kept."""
    torch.set_num_threads(1)  # as in the inference worker
    path = checkpoint(bundle)
    limits = [
        *_stand_in("a model of 20 ms a batch", 0.02, alone_ms=23.0, together=1300, count=3000),
        *_stand_in("a model that costs nothing", 0.0, alone_ms=2.5, together=2500, count=8000),
        *_translator(path),
    ]
    print(*limits, sep="\n")
    return all(limit.kept for limit in limits)


def _stand_in(
    name: str, cost_s: float, *, alone_ms: float, together: float, count: int
) -> Iterator[Limit]:
    """Measure a stand-in, with one client and with many."""
    bodies = [_body(f"hello {number}", max_tokens=1) for number in range(count)]
    with _serving(_tiny(), stand_in_s=cost_s) as url:
        uvloop.run(run(url, "/v1/replies", bodies[:WARM_UP], clients=4))
        alone = _whole(url, bodies[:400], clients=1)
        began = time.perf_counter()
        many = _whole(url, bodies, clients=CLIENTS)
        rate = len(many) / (time.perf_counter() - began)
    _show(f"{name}, 1 client", [one.wall_ms for one in alone])
    _show(f"{name}, {CLIENTS} clients", [one.wall_ms for one in many])
    yield Limit(
        f"{name}, 1 client, p50", quantile([one.wall_ms for one in alone], 0.5), alone_ms, "ms"
    )
    yield Limit(f"{name}, {CLIENTS} clients", rate, together, "replies/s", at_least=True)


@dataclass(slots=True)
class Times:
    """What was measured of the translator on one way, of all rounds together."""

    first: list[float] = field(default_factory=list)  # ms to the first text
    whole: list[float] = field(default_factory=list)  # ms to the reply
    rates: list[float] = field(default_factory=list)  # replies/s of many clients, for each round

    def show(self, name: str) -> None:
        """Print them."""
        _show(f"{name}, first text", self.first)
        _show(f"{name}, whole reply", self.whole)
        rates = ", ".join(f"{rate:.0f}" for rate in self.rates)
        print(f"  {name}, {CLIENTS} at a time: {rates} replies/s")


def _translator(path: Path) -> Iterator[Limit]:
    """Measure the translator through HTTP and by itself, in turns."""
    opened = open_bundle(path)
    sources, texts = validation(opened).sources, _texts()
    alone = Alone(opened, Engine(ready(path, "auto")))
    own, served = Times(), Times()
    above: list[float] = []
    bodies = [_body(text) for text in texts]
    with _serving(path.read_bytes()) as url:
        _whole(url, bodies, clients=CLIENTS)  # products of a new shape take longer the first time
        alone.together(sources)
        for number in range(ROUNDS):
            part = slice(number * 150, (number + 1) * 150)
            for source in sources[part]:
                alone.answer(source, own)
            answers = _whole(url, bodies[part], clients=1)
            served.whole += [one.wall_ms for one in answers]
            above += [one.wall_ms - one.body["timing"]["model_ms"] for one in answers]
            served.first += [
                one.first_ms for one in uvloop.run(stream(url, "/v1/replies", bodies[part]))
            ]
            for times, work in (
                (own, lambda: alone.together(sources)),
                (served, lambda: _whole(url, bodies, clients=CLIENTS)),
            ):
                times.rates.append(_rate(work, len(bodies)))
    own.show("engine alone")
    served.show("through HTTP")
    _show("above what the worker itself measured", above)
    yield from _judge(own, served)


def _judge(own: Times, served: Times) -> Iterator[Limit]:
    first, whole, worst = (
        quantile(through, share) - quantile(by_itself, share)
        for through, by_itself, share in (
            (served.first, own.first, 0.5),
            (served.whole, own.whole, 0.5),
            (served.whole, own.whole, 0.99),
        )
    )
    shares = [through / by for through, by in zip(served.rates, own.rates, strict=True)]
    yield Limit("first text above the engine's own, p50", first, 5.0, "ms")
    yield Limit("whole reply above the engine's own, p50", whole, 3.0, "ms")
    yield Limit("whole reply above the engine's own, p99", worst, 15.0, "ms")
    yield Limit(
        f"{CLIENTS} clients, of the engine's own throughput",
        100 * quantile(shares, 0.5),
        85.0,
        "%",
        at_least=True,
    )


class Alone:
    """The engine in this process: ids in, ids out; text only where it is timed when it begins."""

    def __init__(self, bundle: Bundle, engine: Engine[Any]) -> None:
        self._bundle = bundle
        self._engine = engine

    def answer(self, source: tuple[int, ...], times: Times) -> None:
        """Answer one request, and note when its first text was certain and when it ended."""
        text = TextStream(self._bundle.tokenizer)
        began, first = time.perf_counter(), None
        self._engine.submit(Request(key=0, source=source, wish=WISH))
        while not self._engine.idle:
            for event in self._engine.step():
                if isinstance(event, Told) and first is None:
                    said = [text.push(token) for token in event.tokens]
                    first = time.perf_counter() if any(said) else None
        ended = time.perf_counter()
        times.first.append(((first or ended) - began) * 1e3)
        times.whole.append((ended - began) * 1e3)

    def together(self, sources: Sequence[tuple[int, ...]]) -> None:
        """Answer all, CLIENTS at a time: one comes when another one has gone."""
        waiting, running = list(enumerate(sources)), 0
        while waiting or not self._engine.idle:
            while waiting and running < CLIENTS:
                key, source = waiting.pop()
                self._engine.submit(Request(key=key, source=source, wish=WISH))
                running += 1
            for event in self._engine.step():
                if isinstance(event, Failed):
                    raise event.error
                running -= isinstance(event, Ended)


def _rate(work: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def _texts() -> list[str]:
    path = Settings().data / "multi30k" / "val.de"
    return path.read_text(encoding="utf-8").splitlines()


def _body(text: str, **decode: Any) -> dict[str, Any]:
    return {"model": MODEL, "text": text, "decode": {"beam_size": 1, **decode}}


def _tiny() -> bytes:
    """Return a bundle whose network nobody will ask: a stand-in takes its place."""
    spec = TokenizerSpec(kind="bpe", vocabulary_size=400)
    tokenizer = Tokenizer.train(["hello 0123456789"], spec)
    plan = Plan(
        tokenizer=tokenizer.spec,
        model=ModelSpec(embedding_dim=8, hidden_dim=8),
        decode=DecodeSpec(beam_size=1),
    )
    model = build(plan.model, vocabulary_size=tokenizer.size)
    return write_bundle(Bundle(model, tokenizer, plan, 1, {}))


@contextmanager
def _serving(data: bytes, stand_in_s: float | None = None) -> Iterator[str]:
    """Run an installation that serves ``data``, or a stand-in for it; yields its URL."""
    with running(lambda table: [_replaced(child, stand_in_s) for child in table]) as url:
        promote(url, data, MODEL)
        yield url


def _replaced(child: Child, stand_in_s: float | None) -> Child:
    if stand_in_s is None or child.name != "inference":
        return child
    python, _, _, *words = child.command  # python -m celery ...
    return replace(
        child,
        command=(python, "-m", "benchmarks.standin", *words),
        environment={**child.environment, COST: str(stand_in_s)},
    )


def _whole(url: str, bodies: Sequence[dict[str, Any]], *, clients: int) -> list[Timed]:
    answers = uvloop.run(run(url, "/v1/replies", bodies, clients=clients))
    if failed := [answer for answer in answers if answer.status != 200]:
        raise RuntimeError(f"{len(failed)} of {len(answers)} failed: {failed[0]}")
    return answers


def _show(name: str, values: Sequence[float]) -> None:
    middle, worst = quantile(values, 0.5), quantile(values, 0.99)
    print(f"  {name}: p50 {middle:.2f} ms, p99 {worst:.2f} ms", flush=True)
