"""The pointer: a word comes from the vocabulary, or from the source as it stands there.

Ids from V on are the words of one source that the vocabulary lacks; the same id means another
word beside another source. Source: See et al. 2017, 2.2; Gulcehre et al. 2016.
Sizes: N positions, B rows, S source steps, F features, V vocabulary, X words beyond it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.generators import Generator
from core.models.precision import widened
from core.models.sources import padded_together
from core.models.states import State
from core.text.tokenizer import UNK

IMPOSSIBLE = -100.0  # the log probability of a gold word that neither part can say


@dataclass(frozen=True, slots=True)
class PointerState:
    """A decoder's state, and the words of the source that it points to."""

    decoder: State
    source: Tensor  # (B, S or more) ids, those of words beyond the vocabulary included
    beyond: int  # X: how many such words the richest source of the batch had

    def select(self, rows: Tensor) -> "PointerState":
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        source = self.source.index_select(0, rows)
        return PointerState(self.decoder.select(rows), source, self.beyond)

    def join(self, others: Sequence["PointerState"]) -> "PointerState":
        """Put the rows of ``others`` behind these."""
        every = [self, *others]
        longest = max(one.source.size(1) for one in every)
        return PointerState(
            self.decoder.join([one.decoder for one in others]),
            padded_together([one.source for one in every], 1, longest),
            max(one.beyond for one in every),
        )


class Pointer(nn.Module):
    """A gate between what a generator would say and what the decoder looks at.

    p(w) = g p_vocabulary(w) + (1 - g) sum of the attention to w in the source, in log space.
    """

    def __init__(self, *, feature_dim: int) -> None:
        super().__init__()
        self.gate = nn.Linear(feature_dim, 1)

    def losses(
        self,
        generator: Generator,
        features: Tensor,
        attention: Tensor,
        *,
        source: Tensor,
        gold: Tensor,
        label_smoothing: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Return sums over N positions: what is made small, and -log p of ``gold`` (N,).

        ``features`` (N, F) and ``attention`` (N, S) over ``source`` (N, S); only the gold words
        are looked up in it. The second sum has no gradient. Labels are smoothed over the
        vocabulary alone. A gold word that neither part can say costs 100 and teaches nothing.
        """
        words = generator.log_probs(features)  # (N, V)
        log_probs = self._of_gold(words, features, attention, source, gold)  # (N,)
        nll = -log_probs.sum()
        if not label_smoothing:
            return nll, nll.detach()
        smooth = -words.mean(-1).sum()
        return (1 - label_smoothing) * nll + label_smoothing * smooth, nll.detach()

    def log_probs(
        self, generator: Generator, features: Tensor, attention: Tensor, source: Tensor, beyond: int
    ) -> Tensor:
        """Return log probabilities (B, V + X) of the word after ``features`` (B, F).

        ``attention`` (B, S) looks at ``source`` (B, S); X is ``beyond``, as many words as any
        source of the batch may have outside the vocabulary.
        """
        say, copy = self._gates(features)  # (B,)
        words = functional.pad(
            say.unsqueeze(-1) + generator.log_probs(features), (0, beyond), value=float("-inf")
        )  # (B, V + X)
        attended = torch.zeros_like(words).scatter_add_(1, source, attention.to(words.dtype))
        copied = copy.unsqueeze(-1) + attended.gather(1, source).log()  # (B, S)
        # Only words of the source change; one that stands there twice is written twice alike.
        return words.scatter(1, source, torch.logaddexp(words.gather(1, source), copied))

    def _of_gold(
        self, words: Tensor, features: Tensor, attention: Tensor, source: Tensor, gold: Tensor
    ) -> Tensor:
        """Return the log probability (N,) of each word of ``gold`` (N,)."""
        say, copy = self._gates(features)
        known = gold < words.size(-1)
        said = words.gather(-1, gold.where(known, UNK).unsqueeze(-1)).squeeze(-1)
        said = (say + said).masked_fill(~known, float("-inf"))
        weights = attention.to(words.dtype).masked_fill(source != gold.unsqueeze(-1), 0)
        weight = weights.sum(-1)  # (N,)
        seen = weight >= torch.finfo(weight.dtype).tiny  # what is smaller has no gradient left
        # Where nothing is seen the logarithm is taken of 1, so that no zero is divided by.
        copied = (copy + weight.where(seen, 1).log()).masked_fill(~seen & known, float("-inf"))
        return torch.logaddexp(said, copied).masked_fill(~seen & ~known, IMPOSSIBLE)

    def _gates(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logarithms of g and 1 - g for ``features`` (B, F), each (B,)."""
        score = widened(self.gate(features)).squeeze(-1)
        return functional.logsigmoid(score), functional.logsigmoid(-score)


def fold(ids: Tensor, vocabulary_size: int) -> Tensor:
    """Return ``ids`` with UNK for words beyond the vocabulary, which have no embedding."""
    return ids.masked_fill(ids >= vocabulary_size, UNK)


def count_beyond(source: Tensor, vocabulary_size: int) -> int:
    """Return X, how many words beyond the vocabulary the richest row of ``source`` (B, S) has."""
    return max(0, int(source.max()) + 1 - vocabulary_size)
