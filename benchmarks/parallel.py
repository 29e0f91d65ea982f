"""Two processes that learn as one beside one that learns alone, at the same global batch.

Fails when their curves of training loss differ by more than float noise. The scaling factor is
how many times faster the two of them are, a core each, than the one on one core; the same on two
cores stands beside it. The three take turns, ROUNDS times.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import islice

import numpy as np

from core.data.arrays import Ragged
from core.data.batches import EncodedPairs
from core.pipelines.parallel import team_of
from core.pipelines.threads import use_threads
from core.specs import ModelSpec, TrainSpec

LIMIT = 1e-3  # relative; after a hundred updates in fp32, another order of adding up gives 1e-5
ROUNDS = 3
WARM_UP = 5  # updates before the clock starts
VOCABULARY = 8000
PAIRS = 6400
MODEL = ModelSpec(
    cell="lstm", embedding_dim=128, encoder_hidden_dim=128, hidden_dim=256, dropout=0.0
)
TRAIN = TrainSpec(
    precision="fp32",
    batch_size=64,
    max_epochs=1,
    warmup_steps=20,
    validate_every=None,
    report_every=1,
    keep="last",
)


@dataclass(frozen=True, slots=True)
class Curve:
    """The loss after each update, and the seconds that one takes."""

    losses: list[float]
    step_s: float


def main() -> bool:
    """Measure and print; returns whether the curves are the same."""
    ways = {"alone, 1 thread": (1, 1), "alone, 2 threads": (1, 2), "2 processes": (2, 1)}
    curves: dict[str, list[Curve]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (processes, threads) in ways.items():
            curves[name].append(_run(processes, threads))
    step_s = {name: statistics.median(one.step_s for one in of) for name, of in curves.items()}
    for name, seconds in step_s.items():
        print(f"  {name:18} {seconds * 1e3:7.1f} ms an update, of {len(curves[name])} the median")
    alone, team = (curves[name][0].losses for name in ("alone, 1 thread", "2 processes"))
    apart = _apart(alone, team)
    again = max(_apart(team, one.losses) for one in curves["2 processes"])
    print(f"  loss from {alone[0]:.4f} to {alone[-1]:.4f} in {len(alone)} updates")
    print(f"  between two runs of 2 processes: {again:.1e}")
    print(
        f"scaling: {step_s['alone, 1 thread'] / step_s['2 processes']:.2f} times one thread, "
        f"{step_s['alone, 2 threads'] / step_s['2 processes']:.2f} times two threads; "
        f"curves {apart:.1e} apart at most, relative (at most {LIMIT:.0e} wanted)"
    )
    return apart <= LIMIT and again == 0.0


def _apart(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) / a for a, b in zip(one, other, strict=True))


def _run(processes: int, threads: int) -> Curve:
    """Train in fresh processes."""
    command = [sys.executable, "-m", "benchmarks.parallel", str(processes), str(threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Curve(**json.loads(done.stdout.splitlines()[-1]))


def _member(processes: int, threads: int) -> None:
    use_threads(threads)
    import torch

    from core.models.build import build
    from core.training.events import Measured
    from core.training.lessons import PairLessons
    from core.training.loop import fit

    torch.manual_seed(TRAIN.seed)
    model = build(MODEL, vocabulary_size=VOCABULARY)
    train, valid = PairLessons(_pairs(PAIRS, 1), TRAIN), PairLessons(_pairs(64, 2), TRAIN)
    command = [sys.executable, *sys.orig_argv[1:]]
    with team_of(processes, command) as team:
        events = fit(model, train=train, valid=valid, spec=TRAIN, team=team)
        curve = (event for event in events if isinstance(event, Measured))
        losses = [event.loss for event in islice(curve, WARM_UP)]
        began = time.perf_counter()
        steps = len(train.batches(0)) - WARM_UP
        losses += [event.loss for event in islice(curve, steps)]
        step_s = (time.perf_counter() - began) / steps
        for _ in curve:
            pass  # the end, with its validation, is for all of them
        if team.rank == 0:
            print(json.dumps({"losses": losses, "step_s": step_s}), flush=True)


def _pairs(count: int, seed: int) -> EncodedPairs:
    """Make up sentences as long as captions, the target a word for each word of the source."""
    choose = np.random.default_rng(seed)
    lengths = 3 + choose.poisson(12, size=count)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    source = (5 + (VOCABULARY - 5) * choose.random(offsets[-1]) ** 4).astype(np.int32)
    target = 5 + (source * 7) % (VOCABULARY - 5)
    return EncodedPairs(
        source=Ragged(tokens=source, offsets=offsets),
        target=Ragged(tokens=target.astype(np.int32), offsets=offsets),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("processes", type=int)
    parser.add_argument("threads", type=int)
    options = parser.parse_args()
    _member(options.processes, options.threads)
