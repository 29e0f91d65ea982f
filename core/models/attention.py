"""Attention: which source positions matter to a decoder state.

Sizes: B batch, T queries for each row, S source steps, Q query, M memory, H hidden.
Keys are a projection of the memory, computed once for each source and handed to every call.
"""

from typing import Protocol

import torch
from torch import Tensor, nn


class Attention(Protocol):
    """Whatever scores source positions and blends the memory by them."""

    def keys(self, memory: Tensor) -> Tensor:
        """Project ``memory`` (B, S, M) once, to be compared with every query."""
        ...

    def __call__(
        self, queries: Tensor, keys: Tensor, memory: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return contexts (B, T, M) and weights (B, T, S) for ``queries`` (B, T, Q)."""
        ...


class GeneralAttention(nn.Module):
    """A bilinear score. Source: Luong et al. 2015, 3.1, "general"."""

    def __init__(self, *, query_dim: int, memory_dim: int) -> None:
        super().__init__()
        self.keys = nn.Linear(memory_dim, query_dim, bias=False)

    def forward(
        self, queries: Tensor, keys: Tensor, memory: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Blend ``memory`` (B, S, M); ``mask`` (B, S) is True at real tokens, one at least."""
        scores = queries @ keys.transpose(1, 2)  # (B, T, S)
        return _blend(scores, memory, mask)


class AdditiveAttention(nn.Module):
    """A small network scores each pair. Source: Bahdanau et al. 2015, A.1.2."""

    def __init__(self, *, query_dim: int, memory_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_dim, hidden_dim)
        self.keys = nn.Linear(memory_dim, hidden_dim, bias=False)
        self.score = nn.Linear(hidden_dim, 1, bias=False)

    def forward(
        self, queries: Tensor, keys: Tensor, memory: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Blend ``memory`` (B, S, M); ``mask`` (B, S) is True at real tokens, one at least."""
        hidden = torch.tanh(self.query(queries).unsqueeze(2) + keys.unsqueeze(1))  # (B, T, S, H)
        scores = self.score(hidden).squeeze(-1)  # (B, T, S)
        return _blend(scores, memory, mask)


def _blend(scores: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Turn ``scores`` (B, T, S) into weights over real tokens, and the memory into contexts."""
    weights = scores.masked_fill(~mask.unsqueeze(1), float("-inf")).softmax(-1)
    return weights @ memory, weights
