"""How long a reply takes when requests come when they like: the running batch beside static ones.

Requests of mixed lengths arrive by chance (Poisson) at LOAD of what the engine can do at most. The
running batch lets each in at the next step. Static batching takes what waits, up to LINES, runs it
to its end and then takes the next; its replies leave together. Both have the same model, the same
steps and the same arrivals, by the real clock, in turns. Fails when the slowest percent of replies
is not FASTER times as fast as with static batching, or when the running batch under as many
requests as it can take says less than SATURATED of the tokens/s of a file that is decoded.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks.load import quantile
from benchmarks.translator import checkpoint, decode, open_bundle, ready, validation, wish
from core.decoding.engine import Ended, Engine, Failed, Request
from core.models.build import Network
from core.pipelines.threads import use_threads
from core.settings import Settings

LINES = 64
LOAD = 0.7
FASTER = 2.0
SATURATED = 0.9
ROUNDS = 3
REQUESTS = 1200
JOINED = (1, 1, 1, 1, 2, 2, 3)  # captions in one request: a few are much longer than most

Sources = Sequence[tuple[int, ...]]


@dataclass(slots=True)
class Course:
    """What came of one run."""

    latencies: list[float] = field(default_factory=list)  # seconds from arrival to reply
    earliest: list[float] = field(default_factory=list)  # to the last token, whoever waits for it
    tokens: int = 0
    seconds: float = 0.0

    def show(self, name: str) -> None:
        """Print how long replies took."""
        middle, worst = (quantile(self.latencies, share) * 1e3 for share in (0.5, 0.99))
        early = quantile(self.earliest, 0.99) * 1e3
        print(
            f"  {name:>13}: p50 {middle:7.1f} ms, p99 {worst:7.1f} ms "
            f"(p99 to the last token {early:.1f} ms), {self.tokens / self.seconds:.0f} tokens/s"
        )


def main(bundle: Path | None = None) -> bool:
    """Measure and print; returns whether both limits were kept."""
    use_threads(Settings().inference_threads)  # as in the worker that answers
    path = checkpoint(bundle)
    sources = _mixed(validation(open_bundle(path)).sources)
    model = ready(path, "auto")
    _saturate(model, sources[:LINES])  # warm
    shares, ratios, generous = [], [], []
    for number in range(ROUNDS):
        offline, saturated = _offline(model, sources), _saturate(model, sources)
        shares.append(saturated / offline)
        rate = saturated / _tokens_of(model, sources)
        print(
            f"round {number + 1} of {ROUNDS}: {offline:.0f} tokens/s of a file, {saturated:.0f} "
            f"where all come at once ({shares[-1]:.1%}); that is {rate:.1f} requests/s",
            flush=True,
        )
        due = _arrivals(len(sources), LOAD * rate, seed=number)
        running, static = _continuous(model, sources, due), _static(model, sources, due)
        running.show("running batch")
        static.show("static")
        ratios.append(_worst(static.latencies) / _worst(running.latencies))
        generous.append(_worst(static.earliest) / _worst(running.latencies))
    ratio, share = statistics.median(ratios), statistics.median(shares)
    print(
        f"{torch.get_num_threads()} threads, batches of {LINES}, {LOAD:.0%} of capacity: p99 "
        f"{ratio:.2f} times shorter than with static batching (at least {FASTER:g} wanted); "
        f"{statistics.median(generous):.2f} times, if those replies left as each one ended"
    )
    print(f"at saturation {share:.1%} of the tokens/s of a file (at least {SATURATED:.0%} wanted)")
    return ratio >= FASTER and share >= SATURATED


def _mixed(captions: Sources) -> list[tuple[int, ...]]:
    """Return sources of one to three captions, in no order."""
    chance = random.Random(1)
    return [
        tuple(word for _ in range(chance.choice(JOINED)) for word in chance.choice(captions))
        for _ in range(REQUESTS)
    ]


def _arrivals(count: int, rate: float, seed: int) -> list[float]:
    """Return when requests arrive, in seconds: ``rate`` of them a second in the mean."""
    chance, now, due = random.Random(seed), 0.0, []
    for _ in range(count):
        now += chance.expovariate(rate)
        due.append(now)
    return due


def _worst(latencies: Sequence[float]) -> float:
    return quantile(latencies, 0.99)


def _offline(model: Network, sources: Sources) -> float:
    """Return the tokens a second of a file: all is there, and sorted by length."""
    began = time.perf_counter()
    found = decode(model, sources, wish(1), lines=LINES)
    return sum(len(one.tokens) + 1 for one in found) / (time.perf_counter() - began)


def _saturate(model: Network, sources: Sources) -> float:
    """Return the tokens a second where everybody comes at once, in no order."""
    course = _continuous(model, sources, [0.0] * len(sources))
    return course.tokens / course.seconds


def _tokens_of(model: Network, sources: Sources) -> float:
    """Return how many tokens are said to one of ``sources`` in the mean."""
    found = decode(model, sources[: 4 * LINES], wish(1), lines=LINES)
    return statistics.fmean(len(one.tokens) + 1 for one in found)


def _continuous(model: Network, sources: Sources, due: Sequence[float]) -> Course:
    """Let each request in when it comes."""
    engine, course, come = Engine(model, max_lines=LINES), Course(), 0
    clock = _clock()
    while come < len(sources) or not engine.idle:
        come = _submit(engine, sources, due, come, until=clock())
        if engine.idle:
            time.sleep(max(due[come] - clock(), 0.0))
            continue
        for key, tokens in _step(engine):
            course.tokens += tokens
            course.latencies.append(clock() - due[key])
    course.seconds, course.earliest = clock(), course.latencies
    return course


def _static(model: Network, sources: Sources, due: Sequence[float]) -> Course:
    """Let in what waits, up to LINES of them, and nobody else before all of these have ended."""
    engine, course, come = Engine(model, max_lines=LINES), Course(), 0
    clock = _clock()
    while come < len(sources):
        if due[come] > clock():
            time.sleep(due[come] - clock())
        first = come
        come = _submit(engine, sources, due, come, until=clock(), most=LINES)
        while not engine.idle:
            for key, tokens in _step(engine):
                course.tokens += tokens
                course.earliest.append(clock() - due[key])
        course.latencies += [clock() - due[key] for key in range(first, come)]
    course.seconds = clock()
    return course


def _clock() -> Callable[[], float]:
    began = time.perf_counter()
    return lambda: time.perf_counter() - began


def _submit(
    engine: Engine[object],
    sources: Sources,
    due: Sequence[float],
    come: int,
    *,
    until: float,
    most: int = REQUESTS,
) -> int:
    """Hand in what is due ``until`` now; returns how many have come."""
    last = min(come + most, len(sources))
    while come < last and due[come] <= until:
        engine.submit(Request(key=come, source=sources[come], wish=wish(1)))
        come += 1
    return come


def _step(engine: Engine[object]) -> Iterator[tuple[int, int]]:
    """Take a step; yield (key, tokens) of each request that has ended."""
    for event in engine.step():
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Ended):
            yield event.key, len(event.hypotheses[0].tokens) + 1
