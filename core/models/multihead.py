"""Attention with several heads, and what else the layers of a Transformer are made of.

Source: Vaswani et al. 2017, 3.2 to 3.5.
Sizes: B rows, T queries, S positions that are looked at, D width, M memory, N heads; R sources.
Keys and values go together, all heads of the ones before all heads of the others.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.dropout import Dropout, drop
from core.models.pasts import Past
from core.models.precision import widened
from core.models.sources import Sources


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
        self, inputs: Tensor, bias: Tensor | None, past: Past | None = None
    ) -> tuple[Tensor, Past]:
        """Let ``inputs`` (B, T, D) look at themselves and at the ``past`` before them.

        ``bias`` (broadcast to B, N, T, S) is -inf where nobody may look. Returns (B, T, D) and
        the past of what comes next.
        """
        projected = split_heads(self.project_in(inputs), 3 * self.heads)
        queries, keys, values = projected.chunk(3, dim=1)
        after = Past(projected[:, self.heads :])
        if past is not None:
            after = past.then(after.seen)
            keys, values = after.seen.chunk(2, dim=1)
        rate = self.dropout if self.training else 0.0
        blended = attend(queries, keys, values, bias, dropout=rate)
        return self.project_out(join_heads(blended)), after

    def silence(self, inputs: Tensor) -> Past:
        """Return the past of as many rows as ``inputs`` (B, T, D) has, of no positions."""
        return Past(split_heads(self.project_in(inputs[:, :0]), 3 * self.heads)[:, self.heads :])


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

    def look_at(self, memory: Tensor) -> Tensor:
        """Project ``memory`` (B, S, M) once, for every query to come: (B, S, 2 * D)."""
        projected: Tensor = self.project_memory(memory)
        return projected

    def forward(self, inputs: Tensor, sources: Sources, layer: int) -> Tensor:
        """Let ``inputs`` (B, T, D) look at what ``look_at`` made for a ``layer``: (B, T, D)."""
        rate = self.dropout if self.training else 0.0
        blended = join_heads(attend(*self._asked(inputs, sources, layer), dropout=rate))
        found: Tensor = self.project_out(sources.scatter(blended))
        return found

    def weigh(self, inputs: Tensor, sources: Sources, layer: int) -> tuple[Tensor, Tensor]:
        """Do what calling does, and return the mean weights of the heads (B, T, S) as well."""
        queries, keys, values, bias = self._asked(inputs, sources, layer)
        weights = widened(_scores(queries, keys, bias)).softmax(-1)  # (R, N, T, S)
        rate = self.dropout if self.training else 0.0
        blended = join_heads(drop(weights, rate).to(values.dtype) @ values)
        return self.project_out(sources.scatter(blended)), sources.scatter(weights.mean(1))

    def _asked(
        self, inputs: Tensor, sources: Sources, layer: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return queries of each source, its keys and values, and a bias that hides padding."""
        queries = split_heads(sources.gather(self.project_query(inputs)), self.heads)
        keys, values = split_heads(sources.parts[layer], 2 * self.heads).chunk(2, dim=1)
        return queries, keys, values, None if sources.bias is None else sources.bias.unsqueeze(1)


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
        numbers = torch.arange(0, dim, 2, device="cpu")  # there are numbers wherever weights are
        rates = torch.exp(numbers * (-math.log(10_000.0) / dim))  # (D / 2)
        self.rates: Tensor
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, embedded: Tensor, places: Tensor) -> Tensor:
        """Place ``embedded`` (B, T, D) at ``places``, (T,) or (B, T)."""
        angles = places.unsqueeze(-1) * self.rates  # (..., T, D / 2)
        waves = torch.cat([angles.sin(), angles.cos()], dim=-1)
        return torch.add(waves, embedded, alpha=self.loudness)


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, *, dropout: float = 0.0
) -> Tensor:
    """Blend ``values`` for ``queries`` (B, N, T, D / N), each by its key: (B, N, S, D / N).

    On a CPU torch's fused kernel knows no dropout, and going back through it in bf16 takes eight
    times as long as through the plain products; in float32 it is the faster way.
    """
    if queries.is_cpu and (dropout or queries.dtype == torch.bfloat16):
        weights = _scores(queries, keys, bias).softmax(-1)
        return drop(weights, dropout) @ values
    mask = None if bias is None else bias.to(queries.dtype)
    return functional.scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, dropout_p=dropout
    )


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
