"""Attention: which source positions matter to a decoder state.

Sizes: B rows, T queries for each row, S source steps, Q query, M memory, K keys; R sources, which
are asked by P rows each.
Coverage is what a row has attended to so far, added up: (B, S). It is part of the score, so the
next weights know of it: See et al. 2017, 2.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.precision import widened
from core.models.sources import NEVER, Sources


@dataclass(frozen=True, slots=True)
class Memory:
    """What can be attended to; keys are projected once for each source, and held once."""

    sources: Sources  # their parts: values, and keys where those are not the values themselves

    @classmethod
    def read(cls, values: Tensor, keys: Tensor, mask: Tensor) -> "Memory":
        """Hold ``values`` (B, S, M) and ``keys`` (B, S, K); ``mask`` (B, S) is True at real tokens.

        They come before padding, one at least in each row.
        """
        return cls(Sources.read((values,) if keys is values else (values, keys), mask))

    @property
    def values(self) -> Tensor:
        """What is blended, (R, S, M)."""
        return self.sources.parts[0]

    @property
    def keys(self) -> Tensor:
        """What queries are compared with, (R, S, K)."""
        return self.sources.parts[-1]

    def select(self, rows: Tensor) -> "Memory":
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        sources = self.sources.select(rows)
        return self if sources is self.sources else Memory(sources)

    def join(self, others: Sequence["Memory"]) -> "Memory":
        """Put the rows of ``others`` behind these."""
        return Memory(self.sources.join([other.sources for other in others]))


class Attention(Protocol):
    """Whatever scores source positions against queries, in two moves.

    ``compare`` does for all queries at once what needs no coverage; ``scores`` does the rest.
    Queries come by source: those of its rows one after the other, T = P times those of a row.
    """

    def keys(self, values: Tensor) -> Tensor:
        """Project the memory's ``values`` (R, S, M) once, to be compared with every query."""
        ...

    def compare(self, queries: Tensor, memory: Memory) -> Tensor:
        """Compare ``queries`` (R, T, Q) with the keys; (R, T, ...) of a shape of its own."""
        ...

    def scores(self, compared: Tensor, memory: Memory, coverage: Tensor | None) -> Tensor:
        """Return scores (R, T, S) of what ``compare`` returned; padding may score anything.

        ``coverage`` is (R, T, S).
        """
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
        """Return products (R, T, S)."""
        return torch.bmm(queries, memory.keys.transpose(1, 2))

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
        """Return products (R, T, S) with the logarithm of the Gaussian added; never outside."""
        products = widened(queries @ memory.keys.transpose(1, 2))
        here = torch.arange(products.size(-1), device=products.device)
        distance = here - self.centres(queries, memory.sources.lengths)  # (R, T, S)
        near = -distance.square() / (2 * (self.window / 2) ** 2)
        return (products + near).masked_fill(distance.abs() > self.window, NEVER)

    def centres(self, queries: Tensor, lengths: Tensor) -> Tensor:
        """Return where each of ``queries`` (R, T, Q) looks, (R, T, 1), within 0 and the length.

        ``lengths`` (R,) counts real tokens, so padding moves nothing.
        """
        aimed = widened(self.place(torch.tanh(self.aim(queries))))
        return lengths[:, None, None] * aimed.sigmoid()

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
        """Return projected queries (R, T, K)."""
        projected: Tensor = self.query(queries)
        return projected

    def scores(self, compared: Tensor, memory: Memory, coverage: Tensor | None) -> Tensor:
        """Put query, key and coverage of each pair through the network."""
        keys = memory.keys.unsqueeze(1)
        if self.coverage is not None and coverage is not None:
            keys = keys + self.coverage(coverage.unsqueeze(-1))  # (R, T, S, K)
        hidden = (compared.unsqueeze(2) + keys).tanh_()  # (R, T, S, K)
        scores: Tensor = self.score(hidden).squeeze(-1)
        return scores


def attend(attention: Attention, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
    """Return contexts (B, T, M) and weights (B, T, S) for ``queries`` (B, T, Q), all at once."""
    sources = memory.sources
    compared = attention.compare(sources.gather(queries), memory)
    weights = _weigh(attention.scores(compared, memory, None), sources.bias)
    return sources.scatter(_blend(weights, memory)), sources.scatter(weights)


def attend_covering(
    attention: Attention, queries: Tensor, memory: Memory, coverage: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Attend query by query, each knowing what those before it attended to.

    ``coverage`` (B, S) is what was attended to before the first. Returns contexts (B, T, M),
    weights (B, T, S) and the coverage after the last.
    """
    sources, steps = memory.sources, queries.size(1)
    compared = attention.compare(sources.gather(queries), memory)  # (R, P * T, ...)
    covered, every = sources.gather(coverage.unsqueeze(1)), []  # (R, P, S)
    apart = compared.view(-1, covered.size(1), steps, *compared.shape[2:])
    for now in apart.unbind(2):  # (R, P, ...)
        every.append(_weigh(attention.scores(now, memory, covered), sources.bias))
        covered = covered + every[-1]
    weights = every[0] if steps == 1 else torch.stack(every, dim=2).flatten(1, 2)  # (R, P * T, S)
    contexts = sources.scatter(_blend(weights, memory))
    return contexts, sources.scatter(weights), sources.scatter(covered).squeeze(1)


def coverage_loss(weights: Tensor) -> Tensor:
    """Return (B, T): how much of each step's ``weights`` (B, T, S) goes where some went before.

    Source: See et al. 2017, eq. 12.
    """
    before = weights.cumsum(1) - weights
    return torch.minimum(weights, before).sum(-1)


def _covered(products: Tensor, weight: Tensor | None, coverage: Tensor | None) -> Tensor:
    if weight is None or coverage is None:
        return products
    return products + weight * coverage


def _blend(weights: Tensor, memory: Memory) -> Tensor:
    return torch.bmm(weights.to(memory.values.dtype), memory.values)


def _weigh(scores: Tensor, bias: Tensor | None) -> Tensor:
    """Turn ``scores`` (R, T, S) into weights over real tokens."""
    wide = widened(scores)
    return functional.softmax(wide if bias is None else wide + bias, dim=-1)
