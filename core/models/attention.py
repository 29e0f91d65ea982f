"""Attention: which source positions matter to a decoder state.

Sizes: B rows, T queries for each row, S source steps, Q query, M memory, K keys.
Coverage is what a row has attended to so far, added up: (B, S). It is part of the score, so the
next weights know of it: See et al. 2017, 2.3.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.precision import widened

NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Memory:
    """What can be attended to; keys are projected once for each source."""

    values: Tensor  # (B, S, M)
    keys: Tensor  # (B, S, K)
    mask: Tensor  # (B, S), True at real tokens, one at least in each row

    def select(self, rows: Tensor) -> "Memory":
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        return Memory(*(part.index_select(0, rows) for part in (self.values, self.keys, self.mask)))


class Attention(Protocol):
    """Whatever scores source positions against queries, in two moves.

    ``compare`` does for all queries at once what needs no coverage; ``scores`` does the rest.
    """

    def keys(self, values: Tensor) -> Tensor:
        """Project the memory's ``values`` (B, S, M) once, to be compared with every query."""
        ...

    def compare(self, queries: Tensor, memory: Memory) -> Tensor:
        """Compare ``queries`` (B, T, Q) with the keys; (B, T, ...) of a shape of its own."""
        ...

    def scores(self, compared: Tensor, memory: Memory, coverage: Tensor | None) -> Tensor:
        """Return scores (B, T, S) of what ``compare`` returned; padding may score anything."""
        ...


class ProductAttention(nn.Module):
    """The product of query and key.

    Source: Luong et al. 2015, 3.1: "dot" where the keys are the memory itself (nn.Identity),
    "general" where they are projected to the size of the queries.
    """

    def __init__(self, keys: nn.Identity | nn.Linear, *, covers: bool = False) -> None:
        super().__init__()
        self.keys = keys
        self.coverage = nn.Parameter(torch.zeros(1)) if covers else None

    def compare(self, queries: Tensor, memory: Memory) -> Tensor:
        """Return products (B, T, S)."""
        return queries @ memory.keys.transpose(1, 2)

    def scores(self, compared: Tensor, memory: Memory, coverage: Tensor | None) -> Tensor:  # noqa: ARG002 - the products have the keys in them
        """Add the coverage, times one learned number."""
        return _covered(compared, self.coverage, coverage)


class LocalAttention(nn.Module):
    """General scores round a position that the query predicts.

    Source: Luong et al. 2015, 3.2, "local-p". There the weights of the window are multiplied by
    the Gaussian and left so; here they are made to sum to 1 again, as a copy mixture needs.
    """

    def __init__(
        self, *, query_dim: int, memory_dim: int, window: int, covers: bool = False
    ) -> None:
        super().__init__()
        self.window = window  # positions to either side
        self.keys = nn.Linear(memory_dim, query_dim, bias=False)
        self.aim = nn.Linear(query_dim, query_dim, bias=False)
        self.place = nn.Linear(query_dim, 1, bias=False)
        self.coverage = nn.Parameter(torch.zeros(1)) if covers else None

    def compare(self, queries: Tensor, memory: Memory) -> Tensor:
        """Return products (B, T, S) with the logarithm of the Gaussian added; never outside."""
        products = widened(queries @ memory.keys.transpose(1, 2))
        here = torch.arange(products.size(-1), device=products.device)
        distance = here - self.centres(queries, memory.mask)  # (B, T, S)
        near = -distance.square() / (2 * (self.window / 2) ** 2)
        return (products + near).masked_fill(distance.abs() > self.window, NEVER)

    def centres(self, queries: Tensor, mask: Tensor) -> Tensor:
        """Return where each of ``queries`` (B, T, Q) looks, (B, T, 1), within 0 and the length."""
        lengths = mask.sum(1)[:, None, None]  # real tokens, so padding moves nothing
        return lengths * widened(self.place(torch.tanh(self.aim(queries)))).sigmoid()

    def scores(self, compared: Tensor, memory: Memory, coverage: Tensor | None) -> Tensor:  # noqa: ARG002 - the products have the keys in them
        """Add the coverage, times one learned number."""
        return _covered(compared, self.coverage, coverage)


class AdditiveAttention(nn.Module):
    """A small network scores each pair; coverage is one more input of it.

    Source: Bahdanau et al. 2015, A.1.2; See et al. 2017, eq. 11.
    """

    def __init__(
        self, *, query_dim: int, memory_dim: int, hidden_dim: int, covers: bool = False
    ) -> None:
        super().__init__()
        self.query = nn.Linear(query_dim, hidden_dim)
        self.keys = nn.Linear(memory_dim, hidden_dim, bias=False)
        self.score = nn.Linear(hidden_dim, 1, bias=False)
        self.coverage = nn.Linear(1, hidden_dim, bias=False) if covers else None

    def compare(self, queries: Tensor, memory: Memory) -> Tensor:  # noqa: ARG002 - the tanh is outside the sum
        """Return projected queries (B, T, K)."""
        projected: Tensor = self.query(queries)
        return projected

    def scores(self, compared: Tensor, memory: Memory, coverage: Tensor | None) -> Tensor:
        """Put query, key and coverage of each pair through the network."""
        keys = memory.keys
        if self.coverage is not None and coverage is not None:
            keys = keys + self.coverage(coverage.unsqueeze(-1))  # (B, S, K)
        hidden = (compared.unsqueeze(2) + keys.unsqueeze(1)).tanh_()  # (B, T, S, K)
        scores: Tensor = self.score(hidden).squeeze(-1)
        return scores


def attend(attention: Attention, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
    """Return contexts (B, T, M) and weights (B, T, S) for ``queries`` (B, T, Q), all at once."""
    return _blend(attention.scores(attention.compare(queries, memory), memory, None), memory)


def attend_covering(
    attention: Attention, queries: Tensor, memory: Memory, coverage: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Attend query by query, each knowing what those before it attended to.

    ``coverage`` (B, S) is what was attended to before the first. Returns contexts (B, T, M),
    weights (B, T, S) and the coverage after the last.
    """
    every = []
    for compared in attention.compare(queries, memory).unbind(1):
        scores = attention.scores(compared.unsqueeze(1), memory, coverage)
        every.append(_weigh(scores, memory))
        coverage = coverage + every[-1].squeeze(1)
    weights = torch.cat(every, dim=1)
    return weights.to(memory.values.dtype) @ memory.values, weights, coverage


def coverage_loss(weights: Tensor) -> Tensor:
    """Return (B, T): how much of each step's ``weights`` (B, T, S) goes where some went before.

    Source: See et al. 2017, eq. 12.
    """
    before = weights.cumsum(1) - weights
    return torch.minimum(weights, before).sum(-1)


def _covered(products: Tensor, weight: Tensor | None, coverage: Tensor | None) -> Tensor:
    if weight is None or coverage is None:
        return products
    return products + weight * coverage.unsqueeze(1)


def _blend(scores: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
    weights = _weigh(scores, memory)
    return weights.to(memory.values.dtype) @ memory.values, weights


def _weigh(scores: Tensor, memory: Memory) -> Tensor:
    """Turn ``scores`` (B, T, S) into weights over real tokens."""
    return functional.softmax(widened(scores).masked_fill(~memory.mask.unsqueeze(1), NEVER), dim=-1)
