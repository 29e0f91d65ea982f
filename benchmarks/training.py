"""How fast a translator learns, beside the plain loop that tutorials show.

A bidirectional LSTM of 256 + 256, an LSTM of 512, general attention, embeddings of 256, 8k joint
subwords, batches of 64, Adam, on Multi30k de->en. Three trainings take turns in one process, from
the same weights over the same batches: the plain loop in fp32, ``fit`` with its default settings,
``fit`` in fp32. Memory is measured in a process for each. Fails when ``fit`` is not FASTER (fp32:
FASTER_FP32) times as fast as the plain loop, when losses differ by more than APART, or when it
needs more memory.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.machine import matrix_rate
from benchmarks.plain import PlainSeq2Seq, PlainTraining, copy_parameters
from core.data.arrays import Ragged
from core.data.batches import Batch, EncodedPairs
from core.data.examples import Exchange
from core.models.build import build
from core.pipelines.threads import use_threads
from core.settings import Settings
from core.specs import ModelSpec, TokenizerSpec, TrainSpec
from core.text.tokenizer import Tokenizer
from core.training.events import Measured
from core.training.lessons import PairLessons
from core.training.loop import fit
from core.training.precision import choose_precision
from core.training.schedule import learning_rate
from core.training.validation import validation_losses

FASTER = 2.4  # default settings, times the tokens a second of the plain loop
FASTER_FP32 = 1.15
APART = 0.01  # validation losses after the same updates
ROUNDS = 14
UPDATES = 30  # in each round
WARM_UP = 2  # rounds: torch prepares itself for every shape that it meets
DATA = Settings().data
VOCABULARY = 8000
MODEL = ModelSpec(cell="lstm", embedding_dim=256, encoder_hidden_dim=256, hidden_dim=512)
TRAIN = TrainSpec(validate_every=None, report_every=1)
KINDS = ("plain fp32", "ours, default", "ours, fp32")
PLAIN, DEFAULT, FP32 = KINDS


class Training:
    """One of the three, which learns a few batches whenever it is its turn."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.spec = TRAIN.model_copy(update={"precision": "fp32"}) if kind == FP32 else TRAIN
        self.lessons = PairLessons(_load(folder / "train"), self.spec)
        self.valid = PairLessons(_load(folder / "val"), self.spec)
        torch.manual_seed(1)
        model = build(MODEL, vocabulary_size=VOCABULARY)
        if kind == PLAIN:
            self._plain = PlainTraining(PlainSeq2Seq(MODEL, VOCABULARY), self.spec)
            copy_parameters(model, self._plain.model)
            self._steps = self._plain_steps()
        else:
            self._model = model
            self._steps = self._own_steps()

    def learn(self, updates: int) -> None:
        """Make so many updates."""
        for _ in islice(self._steps, updates):
            pass

    def valid_loss(self) -> float:
        """Return the loss per token of the validation set, in fp32."""
        if self.kind == PLAIN:
            batches = (self.valid.take(rows) for rows in self.valid.ordered())
            return self._plain.valid_loss(batches)
        sums = np.array(list(validation_losses(self._model, self.valid))).sum(axis=0)
        return float(sums[0] / sums[1])

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield what is learned."""
        return (self._plain.model if self.kind == PLAIN else self._model).parameters()

    def _own_steps(self) -> Iterator[None]:
        events = fit(self._model, train=self.lessons, valid=self.valid, spec=self.spec)
        yield from (None for event in events if isinstance(event, Measured))

    def _plain_steps(self) -> Iterator[None]:
        batches = self.lessons.batches(0)
        total = len(batches) * self.spec.max_epochs
        for step, rows in enumerate(batches, start=1):
            rate = learning_rate(self.spec, step=step, total_steps=total, plateau_scale=1.0)
            self._plain.update(self.lessons.take(rows), rate)
            yield None


def main() -> bool:
    """Measure and print; returns whether all limits were kept."""
    use_threads(0)  # what begins from here inherits its environment
    with tempfile.TemporaryDirectory(prefix="malgil-bench-") as name:
        folder = Path(name)
        _prepare(folder)
        memory = json.dumps({kind: json.loads(_run("memory", folder, kind)) for kind in KINDS})
        return bool(json.loads(_run("speed", folder, memory)))


def _run(*arguments: str | Path) -> str:
    """Run this module in a process of its own; returns its last line, and prints all others."""
    command = [sys.executable, "-m", "benchmarks.training", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        last = ""
        for line in child.stdout or ():
            print(last, end="", flush=True)
            last = line
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}")
    return last


def _measure_memory(folder: Path, kind: str) -> float:
    """Learn a few batches; returns the most memory this process ever had, in MB."""
    Training(kind, folder).learn(UPDATES)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _measure_speed(folder: Path, memory: dict[str, float]) -> bool:
    """Let the three take turns, print what came of it beside their ``memory``, and judge."""
    trainings = [Training(kind, folder) for kind in KINDS]
    lessons = trainings[0].lessons
    batches = [lessons.take(rows) for rows in lessons.batches(0)[: ROUNDS * UPDATES]]
    speeds = _take_turns(trainings, batches)
    losses = {one.kind: one.valid_loss() for one in trainings}
    default = choose_precision(TRAIN, trainings[1].parameters())
    rates = {
        name: matrix_rate(dtype, columns=VOCABULARY)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    flop = _flop_per_token(batches)
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}; "
        f"default is {default.name}: {default.reason}"
    )
    print(f"matrix products reach {rates['fp32']:.0f} GFLOP/s in fp32, {rates['bf16']:.0f} in bf16")
    print(f"a target token costs {flop / 1e6:.1f} MFLOP, forward and backward")
    for kind in KINDS:
        speed = statistics.median(speeds[kind])
        share = speed * flop / rates[default.name if kind == DEFAULT else "fp32"] / 1e9
        print(
            f"{kind:>14}: {speed:6.0f} target tokens/s, {share:.0%} of the matrix rate, "
            f"{memory[kind]:4.0f} MB, validation loss {losses[kind]:.4f} "
            f"after {ROUNDS * UPDATES} updates"
        )
    return _judge(speeds, memory, losses)


def _judge(
    speeds: dict[str, list[float]], memory: dict[str, float], losses: dict[str, float]
) -> bool:
    kept = True
    for kind, limit in ((DEFAULT, FASTER), (FP32, FASTER_FP32)):
        pairs = zip(speeds[kind], speeds[PLAIN], strict=True)
        ratio = statistics.median(own / plain for own, plain in pairs)
        apart = losses[kind] / losses[PLAIN] - 1
        more = memory[kind] - memory[PLAIN]
        print(
            f"{kind}: {ratio:.2f} times the plain loop (at least {limit} wanted), "
            f"loss {apart:+.2%} (at most {APART:.0%} apart), "
            f"memory {more:+.0f} MB (no more wanted)"
        )
        kept = kept and ratio >= limit and abs(apart) <= APART and more <= 0
    return kept


def _take_turns(trainings: Sequence[Training], batches: Sequence[Batch]) -> dict[str, list[float]]:
    """Return the target tokens a second of each training in each round but the first."""
    speeds: dict[str, list[float]] = {one.kind: [] for one in trainings}
    for number in range(ROUNDS):
        mine = batches[number * UPDATES : (number + 1) * UPDATES]
        tokens = sum(int(batch.target_mask[:, 1:].sum()) for batch in mine)
        for training in trainings:
            began = time.perf_counter()
            training.learn(UPDATES)
            speed = tokens / (time.perf_counter() - began)
            if number >= WARM_UP:
                speeds[training.kind].append(speed)
        told = ", ".join(f"{kind} {own[-1]:.0f}" for kind, own in speeds.items() if own)
        print(f"round {number + 1} of {ROUNDS}: {told or 'warming up'}", flush=True)
    return speeds


def _prepare(folder: Path) -> None:
    """Learn a vocabulary and write both splits as arrays."""
    texts = {
        split: [
            (DATA / "multi30k" / f"{split}.{language}").read_text(encoding="utf-8").splitlines()
            for language in ("de", "en")
        ]
        for split in ("train", "val")
    }
    spec = TokenizerSpec(kind="bpe", vocabulary_size=VOCABULARY)
    tokenizer = Tokenizer.train((line for half in texts["train"] for line in half), spec)
    for split, (sources, targets) in texts.items():
        EncodedPairs.encode(
            (Exchange((one,), other) for one, other in zip(sources, targets, strict=True)),
            tokenizer,
            max_source_tokens=TRAIN.max_source_tokens,
            max_target_tokens=TRAIN.max_target_tokens,
            directory=folder / split,
        )


def _load(folder: Path) -> EncodedPairs:
    source, target = (
        Ragged(
            tokens=np.load(folder / f"{name}_tokens.npy"),
            offsets=np.load(folder / f"{name}_offsets.npy"),
        )
        for name in ("source", "target")
    )
    return EncodedPairs(source=source, target=target)


def _memory_mb(kind: str, folder: Path) -> float:
    """Return the most memory that ``kind`` takes, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training", kind, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def _flop_per_token(batches: Sequence[Batch]) -> float:
    """Return what a target token costs: two for each weight it meets, thrice for gradients."""
    source = sum(int(batch.source_mask.sum()) for batch in batches)
    target = sum(int(batch.target_mask[:, 1:].sum()) for batch in batches)
    embedding, hidden, memory = MODEL.embedding_dim, MODEL.hidden_dim, MODEL.memory_dim
    encoder = 2 * 4 * MODEL.encoder_dim * (embedding + MODEL.encoder_dim) + memory * hidden
    decoder = 4 * hidden * (embedding + hidden) + (hidden + memory) * embedding
    output = embedding * VOCABULARY
    return 3 * 2 * (encoder * source / target + decoder + output)


def _measure(what: str, folder: str, argument: str) -> None:
    """Measure in this process; the last line is what comes of it."""
    if what == "memory":
        found: object = _measure_memory(Path(folder), argument)
    else:
        found = _measure_speed(Path(folder), json.loads(argument))
    print(json.dumps(found))


if __name__ == "__main__":
    _measure(*sys.argv[1:])
