"""Tiny models that learn in microseconds, over pairs and over running text, and their lessons."""

from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.data.arrays import Ragged
from core.data.batches import Batch, EncodedPairs
from core.data.texts import EncodedText, TextBatch
from core.models.learner import LossOptions, LossTerms
from core.specs import TrainSpec
from core.training.lessons import Lessons, PairLessons
from core.training.text_lessons import StreamLessons

WORDS = 30


class Bigrams(nn.Module):
    """Says from a word, and from the mean of the source, which word follows."""

    def __init__(self, *, dim: int = 6, dropout: float = 0.2, seed: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, dim)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(dim, WORDS)
        _begin(self, seed)

    def losses(
        self, batch: Batch, options: LossOptions, carry: tuple[Tensor, ...] = ()
    ) -> LossTerms:
        mask = batch.target_mask[:, 1:]
        words, gold = batch.target[:, :-1], batch.target[:, 1:][mask]
        counts = batch.source_mask.sum(1, keepdim=True)
        source = (self.embedding(batch.source) * batch.source_mask[..., None]).sum(1) / counts
        if options.truth < 1:
            coins = torch.rand(words.shape, generator=options.generator)
            own = self.output(self.embedding(words)).argmax(-1).roll(1, dims=1)
            words = words.where(coins < options.truth, own)
        features = self.dropout(self.embedding(words) + source[:, None])[mask]
        logits = self.output(features).float()
        smoothing = options.label_smoothing
        total = functional.cross_entropy(logits, gold, reduction="sum", label_smoothing=smoothing)
        nll = functional.cross_entropy(logits.detach(), gold, reduction="sum")
        return LossTerms(total=total, nll=nll, tokens=int(mask.sum()), carry=carry)


class Follower(nn.Module):
    """Says which word follows in a text from a slow mean of all words so far."""

    def __init__(self, *, dim: int = 6, seed: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, dim)
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(dim, WORDS)
        _begin(self, seed)

    def losses(
        self, batch: TextBatch, options: LossOptions, carry: tuple[Tensor, ...] = ()
    ) -> LossTerms:
        embedded = self.dropout(self.embedding(batch.tokens))  # (B, T, E)
        mean = carry[0] if carry else embedded.new_zeros(embedded[:, 0].shape)
        means = []
        for word in embedded.unbind(1):
            mean = 0.7 * mean + 0.3 * word
            means.append(mean)
        logits = self.output(torch.stack(means, 1)[batch.mask]).float()
        total = functional.cross_entropy(logits, batch.gold[batch.mask], reduction="sum")
        tokens = int(batch.mask.sum())
        return LossTerms(total=total, nll=total.detach(), tokens=tokens, carry=(mean.detach(),))


class Cramped(Bigrams):
    """Runs out of memory on more than ``limit`` rows, now before, now within the backward pass."""

    def __init__(self, limit: int, **more: float) -> None:
        super().__init__(**more)
        self.limit = limit
        self.tries: list[int] = []

    def losses(
        self, batch: Batch, options: LossOptions, carry: tuple[Tensor, ...] = ()
    ) -> LossTerms:
        rows = len(batch.source)
        self.tries.append(rows)
        terms = super().losses(batch, options, carry)
        if rows <= self.limit:
            return terms
        if len(self.tries) % 2 and terms.total.requires_grad:
            self.embedding.weight.grad = torch.full_like(self.embedding.weight, 9.0)  # half done
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried too much")


def _begin(model: nn.Module, seed: int) -> None:
    """Draw weights from a generator of their own: threads share torch's."""
    chance = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.data.normal_(std=0.5, generator=chance)


def ragged(rows: list[list[int]]) -> Ragged:
    ends = np.cumsum([0, *(len(row) for row in rows)])
    return Ragged(tokens=np.array(list(chain(*rows)), dtype=np.int32), offsets=ends)


def pair_lessons(count: int, spec: TrainSpec, *, seed: int = 0) -> PairLessons:
    """Return ``count`` sources and targets that say the source's words plus one."""
    choose = np.random.default_rng(seed)
    sources = [choose.integers(4, WORDS - 1, choose.integers(1, 9)).tolist() for _ in range(count)]
    targets = [[word + 1 for word in source] for source in sources]
    return PairLessons(EncodedPairs(source=ragged(sources), target=ragged(targets)), spec)


def text_lessons(length: int, spec: TrainSpec) -> Lessons[TextBatch]:
    """Return a text that counts upwards, with leaps."""
    choose = np.random.default_rng(0)
    tokens = np.cumsum(choose.integers(1, 4, length)) % WORDS
    text = EncodedText(tokens.astype(np.int32))
    return StreamLessons(text, streams=spec.batch_size, bptt=spec.bptt)
