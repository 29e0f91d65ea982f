"""Seconds an epoch of the ten-minute tutorial takes, beside plain ``nn.LSTM`` in the same run.

The plain loop is the tutorial's: one LSTM of 256 reads, another writes, every position is
projected, RMSprop. Both learn the same batches, turn by turn; an epoch is counted from its steps.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.data.batches import Batch
from core.data.materials import read
from core.models.build import build
from core.models.learner import Learner
from core.pipelines.preparing import learn_vocabulary, prepare
from core.pipelines.threads import use_threads
from core.recipes import find
from core.settings import Settings
from core.specs import TrainSpec, merge
from core.training.events import Measured
from core.training.lessons import Lessons
from core.training.loop import fit

RECIPE = "char-lstm"
STEPS = 60  # of each, after WARM_UP more
WARM_UP = 5


class PlainTutorial(nn.Module):
    """Two LSTMs and a projection. Sizes: B rows, S source steps, T target steps, V vocabulary."""

    def __init__(self, vocabulary_size: int, embedding_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.source = nn.Embedding(vocabulary_size, embedding_dim)
        self.target = nn.Embedding(vocabulary_size, embedding_dim)
        self.encoder = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
        self.decoder = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
        self.output = nn.Linear(hidden_dim, vocabulary_size)

    def forward(self, source: Tensor, words: Tensor) -> Tensor:
        """Return logits (B, T, V)."""
        _, state = self.encoder(self.source(source))
        outputs, _ = self.decoder(self.target(words), state)
        logits: Tensor = self.output(outputs)
        return logits


def main() -> bool:
    """Measure and print; there is no figure to miss, so it returns True."""
    use_threads(0)
    plan = merge(find(RECIPE).plan, {"train": {"report_every": 1}})
    corpus = read(find(RECIPE).material, Settings().data)
    tokenizer = learn_vocabulary(corpus.__getitem__, plan)
    with tempfile.TemporaryDirectory(prefix="malgil-bench-") as scratch:
        lessons = prepare(corpus.__getitem__, plan, tokenizer, Path(scratch)).train.batches
        torch.manual_seed(1)
        model = build(plan.model, vocabulary_size=tokenizer.size)
        plain = PlainTutorial(tokenizer.size, plan.model.embedding_dim, plan.model.hidden_dim)
        turns = zip(_own(model, lessons, plan.train), _plain(plain, lessons), strict=False)
        timed = list(islice(turns, WARM_UP + STEPS))[WARM_UP:]
    steps = len(lessons.batches(0))
    own, theirs = (steps * statistics.median(column) for column in zip(*timed, strict=True))
    told = f"{own:.1f} s an epoch, plain nn.LSTM {theirs:.1f} s"
    print(f"{RECIPE}, {steps} steps of {plan.train.batch_size}: {told} ({theirs / own:.2f} times)")
    return True


def _own(model: Learner[Batch], lessons: Lessons[Batch], spec: TrainSpec) -> Iterator[float]:
    """Yield the seconds of each update by ``fit``."""
    events = fit(model, train=lessons, valid=lessons, spec=spec)
    while True:
        began = time.perf_counter()
        next(event for event in events if isinstance(event, Measured))
        yield time.perf_counter() - began


def _plain(model: PlainTutorial, lessons: Lessons[Batch]) -> Iterator[float]:
    """Yield the seconds of each update by the plain loop."""
    optimiser = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9)
    for rows in lessons.batches(0):
        began = time.perf_counter()
        batch = lessons.take(rows)
        logits = model(batch.source, batch.target[:, :-1])
        gold = batch.target[:, 1:].masked_fill(~batch.target_mask[:, 1:], -100)
        loss = functional.cross_entropy(logits.flatten(0, 1), gold.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()  # loops tell it
        yield time.perf_counter() - began
