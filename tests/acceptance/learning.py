"""A process that learns, and leaves behind where it is and what it has seen of the curve.

``python -m tests.acceptance.learning CASE FOLDER ATTEMPT``: it goes on from FOLDER/state if that
is there, and writes FOLDER/ATTEMPT.curve line by line, each loss as its exact digits.
"""

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.data.arrays import Ragged
from core.data.batches import EncodedPairs
from core.data.texts import EncodedText
from core.models.build import build
from core.pipelines.parallel import team_of
from core.specs import ModelSpec, TrainSpec
from core.training.events import Measured, Snapshot, Validated
from core.training.lessons import Lessons, PairLessons
from core.training.loop import fit
from core.training.state import copy_weights, load_state
from core.training.text_lessons import StreamLessons

WORDS = 40
SAVE_EVERY = 7  # updates
KILLED = "killed"  # the attempt that takes its time, so that it can be killed in the middle

SMALL: dict[str, Any] = {"embedding_dim": 16, "hidden_dim": 16, "dropout": 0.3}
TRAIN: dict[str, Any] = {
    "batch_size": 8,
    "max_epochs": 8,
    "warmup_steps": 20,
    "learning_rate": 0.02,
    "validate_every": 11,
    "report_every": 1,
    "patience": None,
    "bptt": 6,
}


@dataclass(frozen=True)
class Case:
    """What is trained, and by how many processes."""

    model: dict[str, Any]
    train: dict[str, Any] = field(default_factory=dict)
    processes: int = 1
    killed: range = range(20, 75)  # the updates of which one is its last


GRU: dict[str, Any] = {}
CASES = {
    "gru, attention": Case(GRU),
    "lstm, input feeding, coverage": Case(
        {"cell": "lstm", "attention": "additive", "input_feeding": True, "coverage": True},
        {"coverage_weight": 0.5, "decay": "cosine"},
    ),
    "copy": Case({"copy_source": True}, {"decay": "plateau"}),
    "transformer, bf16": Case(
        {"encoder": "transformer", "decoder": "transformer", "feed_forward_dim": 32},
        {"precision": "bf16", "batch_tokens": 100},
    ),
    "language model, truncated, triggered": Case(
        {
            "encoder": "none",
            "bidirectional": False,
            "cell": "lstm",
            "weight_drop": 0.3,
            "locked_dropout": True,
        },
        {
            "optimiser": "sgd",
            "learning_rate": 20.0,
            "average": "triggered",
            "average_patience": 1,
            "clip_norm": 20.0,
        },
        killed=range(70, 100),  # the average begins about 65
    ),
    "hybrid, scheduled sampling": Case(
        {"encoder": "transformer", "feed_forward_dim": 32, "bridge": "mean"},
        {"forcing": "sigmoid", "forcing_steps": 10},
    ),
    "accumulation": Case(GRU, {"accumulate": 3, "max_epochs": 20, "optimiser": "rmsprop"}),
    "moving average": Case(GRU, {"average": "ema", "ema_decay": 0.95}),
    "average of the last": Case(GRU, {"average": "last", "average_last": 3}),
    "two processes": Case(GRU, {"average": "ema", "forcing": "linear"}, processes=2),
}


def main(name: str, folder: Path, attempt: str) -> None:
    """Learn ``name`` to the end."""
    torch.set_num_threads(1)
    case = CASES[name]
    command = [sys.executable, "-m", "tests.acceptance.learning", *sys.argv[1:]]
    with team_of(case.processes, command) as team:
        spec = TrainSpec(**{**TRAIN, **case.train})
        torch.manual_seed(5)
        model = build(ModelSpec(**{**SMALL, **case.model}), vocabulary_size=WORDS)
        train, valid = lessons(case.model, spec)
        saved = folder / "state"
        state = load_state(saved.read_bytes())[0] if saved.exists() else None
        updates = iter(range(1, 10_000))
        events = fit(
            model,
            train=train,
            valid=valid,
            spec=spec,
            resume=state,
            due=lambda: next(updates) % SAVE_EVERY == 0,
            team=team,
        )
        with (folder / f"{attempt}.{team.rank}.curve").open("w") as curve:
            for line in lines(events, saved):
                curve.write(f"{line}\n")
                curve.flush()
                time.sleep(0.01 if attempt == KILLED else 0)
            weights = b"".join(one.numpy().tobytes() for one in copy_weights(model).values())
            curve.write(f"end weights {hashlib.sha256(weights).hexdigest()}\n")


def lessons(model: dict[str, Any], spec: TrainSpec) -> tuple[Lessons[Any], Lessons[Any]]:
    """Return what ``model`` learns from and what it is tried on."""
    if model.get("encoder") == "none":
        texts = [EncodedText(counting(number, 600)) for number in (0, 1)]
        train, valid = (StreamLessons(one, streams=8, bptt=spec.bptt) for one in texts)
        return train, valid
    own = 3 if model.get("copy_source") else 0
    return PairLessons(pairs(80, 0, own), spec), PairLessons(pairs(20, 1, own), spec)


def counting(seed: int, length: int) -> Any:
    """Return a text that counts upwards, with leaps."""
    leaps = np.random.default_rng(seed).integers(1, 4, length)
    return (np.cumsum(leaps) % (WORDS - 4) + 4).astype(np.int32)


def pairs(count: int, seed: int, own: int) -> EncodedPairs:
    """Return sources and targets that turn them round; ``own`` words are beyond the vocabulary."""
    choose = np.random.default_rng(seed)
    sources = [choose.integers(4, WORDS, choose.integers(3, 9)) for _ in range(count)]
    for source in sources:
        source[:own] = WORDS + np.arange(own)
    return EncodedPairs(source=ragged(sources), target=ragged([one[::-1] for one in sources]))


def ragged(rows: list[Any]) -> Ragged:
    """Put ``rows`` end to end."""
    tokens = np.array(list(chain(*rows)), dtype=np.int32)
    return Ragged(tokens=tokens, offsets=np.cumsum([0, *(len(row) for row in rows)]))


def lines(events: Iterator[Any], saved: Path) -> Iterator[str]:
    """Write snapshots to ``saved``; yield what the curve tells, bit for bit."""
    for event in events:
        if isinstance(event, Snapshot):
            part = saved.with_suffix(".part")
            with part.open("wb") as file:
                file.write(event.state.dump({}))
                os.fsync(file.fileno())
            part.rename(saved)
            yield f"{event.state.counters.step} saved"
        elif isinstance(event, Measured):
            yield f"{event.step} trained {event.loss.hex()} {event.learning_rate.hex()}"
        elif isinstance(event, Validated):
            yield f"{event.step} validated {event.valid_loss.hex()} {event.best}"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
