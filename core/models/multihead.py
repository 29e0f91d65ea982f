"""Attention with several heads, and what else the layers of a Transformer are made of.

Source: Vaswani et al. 2017, 3.2 to 3.5.
Sizes: B rows, T queries, S positions that are looked at, D width, M memory, N heads.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.dropout import Dropout, drop
from core.models.precision import widened


class KeysValues(NamedTuple):
    """What is looked at, split into heads."""

    keys: Tensor  # (B, N, S, D / N)
    values: Tensor  # (B, N, S, D / N)

    def select(self, rows: Tensor) -> "KeysValues":
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        return KeysValues(self.keys.index_select(0, rows), self.values.index_select(0, rows))

    def then(self, after: "KeysValues") -> "KeysValues":
        """Put the positions of ``after`` behind these."""
        return KeysValues(
            torch.cat([self.keys, after.keys], dim=2), torch.cat([self.values, after.values], dim=2)
        )


class SelfAttention(nn.Module):
    """Positions of one sequence look at each other."""

    def __init__(self, *, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.project_in = nn.Linear(dim, 3 * dim)  # queries, keys, values
        self.project_out = nn.Linear(dim, dim)
        for part in self.project_in.weight.detach().chunk(3):
            nn.init.xavier_uniform_(part)
        nn.init.zeros_(self.project_in.bias)
        reset(self.project_out)

    def forward(
        self, inputs: Tensor, bias: Tensor | None, past: KeysValues | None = None
    ) -> tuple[Tensor, KeysValues]:
        """Let ``inputs`` (B, T, D) look at themselves and at the ``past`` before them.

        ``bias`` (broadcast to B, N, T, S) is -inf where nobody may look. Returns (B, T, D) and
        the past of what comes next.
        """
        queries, *rest = (
            split_heads(part, self.heads) for part in self.project_in(inputs).chunk(3, dim=-1)
        )
        seen = KeysValues(*rest)
        if past is not None:
            seen = past.then(seen)
        rate = self.dropout if self.training else 0.0
        blended = attend(queries, seen, bias, dropout=rate)
        return self.project_out(join_heads(blended)), seen


class CrossAttention(nn.Module):
    """Positions of one sequence look at the memory of another."""

    def __init__(self, *, dim: int, memory_dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.project_query = nn.Linear(dim, dim)
        self.project_memory = nn.Linear(memory_dim, 2 * dim)  # keys, values
        self.project_out = nn.Linear(dim, dim)
        for part in self.project_memory.weight.detach().chunk(2):
            nn.init.xavier_uniform_(part)
        nn.init.zeros_(self.project_memory.bias)
        reset(self.project_query)
        reset(self.project_out)

    def look_at(self, memory: Tensor) -> KeysValues:
        """Project ``memory`` (B, S, M) once, for every query to come."""
        keys, values = self.project_memory(memory).chunk(2, dim=-1)
        return KeysValues(split_heads(keys, self.heads), split_heads(values, self.heads))

    def forward(self, inputs: Tensor, seen: KeysValues, bias: Tensor | None) -> Tensor:
        """Let ``inputs`` (B, T, D) look at what ``look_at`` made; returns (B, T, D)."""
        queries = split_heads(self.project_query(inputs), self.heads)
        rate = self.dropout if self.training else 0.0
        blended: Tensor = self.project_out(join_heads(attend(queries, seen, bias, dropout=rate)))
        return blended

    def weigh(self, inputs: Tensor, seen: KeysValues, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Do what calling does, and return the mean weights of the heads (B, T, S) as well."""
        queries = split_heads(self.project_query(inputs), self.heads)
        weights = widened(_scores(queries, seen.keys, bias)).softmax(-1)  # (B, N, T, S)
        rate = self.dropout if self.training else 0.0
        dropped = drop(weights, rate).to(seen.values.dtype)
        return self.project_out(join_heads(dropped @ seen.values)), weights.mean(1)


class FeedForward(nn.Module):
    """Each position by itself goes through a wider layer and back."""

    def __init__(self, *, dim: int, feed_forward_dim: int, dropout: float) -> None:
        super().__init__()
        self.widen = nn.Linear(dim, feed_forward_dim)
        self.narrow = nn.Linear(feed_forward_dim, dim)
        self.dropout = Dropout(dropout)
        reset(self.widen)
        reset(self.narrow)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``inputs`` (B, T, D) to (B, T, D)."""
        wide = functional.relu(self.widen(inputs), inplace=True)  # (B, T, feed_forward_dim)
        outputs: Tensor = self.narrow(self.dropout(wide))
        return outputs


class Positions(nn.Module):
    """Embeddings, louder, with sines of their places added; there is no longest sequence."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.loudness = math.sqrt(dim)
        rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))  # (D / 2)
        self.rates: Tensor
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, embedded: Tensor, places: Tensor) -> Tensor:
        """Place ``embedded`` (B, T, D) at ``places``, (T,) or (B, T)."""
        angles = places.unsqueeze(-1) * self.rates  # (..., T, D / 2)
        waves = torch.cat([angles.sin(), angles.cos()], dim=-1)
        return torch.add(waves, embedded, alpha=self.loudness)


def attend(
    queries: Tensor, seen: KeysValues, bias: Tensor | None, *, dropout: float = 0.0
) -> Tensor:
    """Blend the values of ``seen`` for ``queries`` (B, N, T, D / N); returns the same shape.

    On a CPU torch's fused kernel knows no dropout, and going back through it in bf16 takes eight
    times as long as through the plain products; in float32 it is the faster way.
    """
    if queries.is_cpu and (dropout or queries.dtype == torch.bfloat16):
        weights = _scores(queries, seen.keys, bias).softmax(-1)
        return drop(weights, dropout) @ seen.values
    mask = None if bias is None else bias.to(queries.dtype)
    return functional.scaled_dot_product_attention(
        queries, seen.keys, seen.values, attn_mask=mask, dropout_p=dropout
    )


def visible(mask: Tensor) -> Tensor:
    """Turn ``mask`` (B, S), True where one may look, into a bias (B, 1, 1, S)."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, -math.inf)[:, None, None]


def split_heads(tensor: Tensor, heads: int) -> Tensor:
    """Turn (B, T, D) into (B, N, T, D / N)."""
    rows, steps, dim = tensor.shape
    return tensor.view(rows, steps, heads, dim // heads).transpose(1, 2)


def join_heads(tensor: Tensor) -> Tensor:
    """Turn (B, N, T, D / N) into (B, T, D)."""
    return tensor.transpose(1, 2).flatten(2)


def reset(linear: nn.Linear) -> None:
    """Give a layer fresh weights: Glorot and Bengio 2010, and no bias."""
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)


def _scores(queries: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
    """Return (B, N, T, S), -inf where ``bias`` hides."""
    scores = (queries * (1.0 / math.sqrt(queries.size(-1)))) @ keys.transpose(2, 3)
    return scores if bias is None else scores + bias.to(scores.dtype)
