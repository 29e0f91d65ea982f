"""What in a passage may be asked about: log probabilities of spans, and the best of them.

Sizes: B rows, S source steps, M memory, L tokens of the longest span, G spans that are answers.
"""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.precision import widened

NEVER = float("-inf")


class Proposer(Protocol):
    """Whatever turns what was read of a passage into chances of its spans."""

    def losses(self, memory: Tensor, mask: Tensor, golds: Tensor) -> Tensor:
        """Return the mean -log p (B,) of what is right, for each passage.

        ``memory`` (B, S, M), ``mask`` (B, S), ``golds`` (G, 3): passage, first and last token.
        """
        ...

    def scores(self, memory: Tensor, mask: Tensor) -> Tensor:
        """Return log p (B, S, L) of the span from each token on, of each length; -inf: none."""
        ...


class TagProposer(nn.Module):
    """Says of each token whether it is part of an answer: a softmax over two."""

    def __init__(self, *, memory_dim: int, longest: int) -> None:
        super().__init__()
        self.longest = longest
        self.tags = nn.Linear(memory_dim, 2)

    def losses(self, memory: Tensor, mask: Tensor, golds: Tensor) -> Tensor:
        """Return the mean -log p (B,) of the tags of each passage."""
        wanted = labels(golds, mask)
        logits = widened(self.tags(memory))  # (B, S, 2)
        nll = functional.cross_entropy(logits.transpose(1, 2), wanted.long(), reduction="none")
        return (nll * mask).sum(1) / mask.sum(1)

    def scores(self, memory: Tensor, mask: Tensor) -> Tensor:
        """Return log p of these tags: inside the span all, and the tokens beside it not."""
        log_probs = widened(self.tags(memory)).log_softmax(-1).double()  # (B, S, 2)
        within = functional.pad(log_probs[..., 1].cumsum(1), (1, 0))  # (B, S + 1)
        beside = log_probs[..., 0].masked_fill(~mask, 0)
        before, after = functional.pad(beside[:, :-1], (1, 0)), functional.pad(beside, (0, 1))
        first, last, real = _ends(mask, self.longest)
        found = within[:, last + 1] - within[:, first] + before[:, first] + after[:, last + 1]
        return found.masked_fill(~real, NEVER).to(memory.dtype)


class SpanProposer(nn.Module):
    """Compares all spans of a passage, each by its ends and its length: a softmax over all."""

    def __init__(self, *, memory_dim: int, hidden_dim: int, longest: int) -> None:
        super().__init__()
        self.longest = longest
        self.first = nn.Linear(memory_dim, hidden_dim)
        self.last = nn.Linear(memory_dim, hidden_dim, bias=False)
        self.length = nn.Embedding(longest, hidden_dim)
        self.score = nn.Linear(hidden_dim, 1, bias=False)

    def losses(self, memory: Tensor, mask: Tensor, golds: Tensor) -> Tensor:
        """Return the mean -log p (B,) of the answers of each passage; longer ones are left out."""
        scores = self.scores(memory, mask)  # (B, S, L)
        row, first, last = golds[(golds[:, 2] - golds[:, 1]) < self.longest].unbind(1)
        nll = -scores[row, first, last - first]  # (G,)
        sums = nll.new_zeros(len(mask)).index_add_(0, row, nll)
        counts = nll.new_zeros(len(mask)).index_add_(0, row, torch.ones_like(nll))
        return sums / counts.clamp(min=1)

    def scores(self, memory: Tensor, mask: Tensor) -> Tensor:
        """Return log p (B, S, L), which sums to 1 over each passage."""
        _, last, real = _ends(mask, self.longest)
        ends = self.last(memory)[:, last]  # (B, S, L, H)
        hidden = torch.tanh(self.first(memory).unsqueeze(2) + ends + self.length.weight)
        scores = widened(self.score(hidden)).squeeze(-1).masked_fill(~real, NEVER)
        return scores.flatten(1).log_softmax(1).view_as(scores)


def labels(golds: Tensor, mask: Tensor) -> Tensor:
    """Return (B, S), True at tokens of ``golds`` (G, 3)."""
    edges = torch.zeros(mask.size(0), mask.size(1) + 1, dtype=torch.int32, device=mask.device)
    row, first, last = golds.unbind(1)
    ones = torch.ones_like(row, dtype=torch.int32)
    edges.index_put_((row, first), ones, accumulate=True)
    edges.index_put_((row, last + 1), -ones, accumulate=True)
    return edges.cumsum(1)[:, :-1] > 0


def best_spans(scores: Tensor, count: int) -> list[tuple[int, int, float]]:
    """Return the ``count`` best of ``scores`` (S, L) that do not overlap: first, last, log p."""
    taken = [False] * len(scores)
    found: list[tuple[int, int, float]] = []
    values, places = scores.flatten().sort(descending=True, stable=True)
    for value, place in zip(values.tolist(), places.tolist(), strict=True):
        if len(found) == count or value == NEVER:
            break
        first, beyond = divmod(place, scores.size(1))
        if not any(taken[first : first + beyond + 1]):
            taken[first : first + beyond + 1] = [True] * (beyond + 1)
            found.append((first, first + beyond, value))
    return found


def _ends(mask: Tensor, longest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return first and last token (S, L) of each span, and which (B, S, L) are real tokens."""
    steps = mask.size(1)
    first = torch.arange(steps, device=mask.device).unsqueeze(1).expand(-1, longest)
    last = first + torch.arange(longest, device=mask.device)
    real = last < mask.sum(1).view(-1, 1, 1)
    return first, last.clamp(max=steps - 1), real
