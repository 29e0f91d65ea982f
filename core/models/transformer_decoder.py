"""A Transformer that writes: every word looks at those before it, and at a source if there is one.

Sizes: B rows, T target steps, S source steps, P steps before, D width, M memory, N heads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from core.models.dropout import Dropout
from core.models.encoders import Encoded
from core.models.multihead import (
    CrossAttention,
    FeedForward,
    Positions,
    SelfAttention,
)
from core.models.pasts import Past, less_skipped, skipped_rows
from core.models.readout import Readout
from core.models.sources import Sources, visible


@dataclass(frozen=True, slots=True)
class TransformerState:
    """What has been read and written so far. All tensors have the batch in front."""

    past: tuple[Past, ...] = ()  # of each layer, P positions; none: nothing is written yet
    sources: Sources | None = None  # a part for each layer, (R, S, 2 * D); none: there is no source
    skipped: Tensor | None = None  # (B,), how many of the first P positions are padding

    @property
    def length(self) -> int:
        """How many positions have been written."""
        return self.past[0].length if self.past else 0

    @property
    def carry(self) -> tuple[Tensor, ...]:
        """Nothing: each stretch of running text begins anew."""
        return ()

    def select(self, rows: Tensor) -> "TransformerState":
        """Keep ``rows`` (int64), in their order, repeats allowed; what all skip is forgotten."""
        skipped = None if self.skipped is None else self.skipped.index_select(0, rows)
        first, skipped = less_skipped(skipped)
        return TransformerState(
            past=tuple(layer.select(rows, first) for layer in self.past),
            sources=None if self.sources is None else self.sources.select(rows),
            skipped=skipped,
        )

    def join(self, others: Sequence["TransformerState"]) -> "TransformerState":
        """Put the rows of ``others`` behind these, so that all have written last what is last."""
        every = [self, *others]
        like = next((one.past for one in every if one.past), ())
        pasts = [one.past or one._silence(like) for one in every]
        sources = self.sources
        if sources is not None:
            sources = sources.join([one.sources for one in others if one.sources is not None])
        sizes = [
            (layers[0].seen.size(0), one.length, one.skipped)
            for one, layers in zip(every, pasts, strict=True)
            if layers
        ]
        return TransformerState(
            past=tuple(first.join(rest) for first, *rest in zip(*pasts, strict=True)),
            sources=sources,
            skipped=skipped_rows(sizes, like[0].seen.device) if like else None,
        )

    def _silence(self, like: tuple[Past, ...]) -> tuple[Past, ...]:
        """Return pasts ``like`` those of another state, but of no positions."""
        rows = 0 if self.sources is None else self.sources.lines
        return tuple(Past(one.seen.new_empty(rows, *one.seen[0, :, :0].shape)) for one in like)


class DecoderLayer(nn.Module):
    """Look back, look at the source, think for oneself; each is added to what one was."""

    def __init__(
        self,
        *,
        dim: int,
        memory_dim: int | None,
        heads: int,
        feed_forward_dim: int,
        dropout: float,
    ) -> None:
        """Without a ``memory_dim`` there is no source to look at."""
        super().__init__()
        self.norm_back = nn.LayerNorm(dim)
        self.back = SelfAttention(dim=dim, heads=heads, dropout=dropout)
        if memory_dim is not None:
            self.norm_source = nn.LayerNorm(dim)
            self.source = CrossAttention(
                dim=dim, memory_dim=memory_dim, heads=heads, dropout=dropout
            )
        self.norm_feed = nn.LayerNorm(dim)
        self.feed = FeedForward(dim=dim, feed_forward_dim=feed_forward_dim, dropout=dropout)
        self.dropout = Dropout(dropout)

    def look_back(
        self, inputs: Tensor, bias: Tensor | None, past: Past | None
    ) -> tuple[Tensor, Past]:
        """Add to ``inputs`` (B, T, D) what was written before; return the next past as well."""
        back, past = self.back(self.norm_back(inputs), bias, past)
        return inputs + self.dropout(back), past

    def look_at_source(
        self, inputs: Tensor, sources: Sources, layer: int, *, weigh: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Add to ``inputs`` (B, T, D) what the source says; and, if asked, where (B, T, S)."""
        queries = self.norm_source(inputs)
        weights = None
        if weigh:
            found, weights = self.source.weigh(queries, sources, layer)
        else:
            found = self.source(queries, sources, layer)
        return inputs + self.dropout(found), weights

    def think(self, inputs: Tensor) -> Tensor:
        """Add to each of ``inputs`` (B, T, D) what it makes of itself."""
        outputs: Tensor = inputs + self.dropout(self.feed(self.norm_feed(inputs)))
        return outputs


class TransformerDecoder(nn.Module):
    """Layers of masked self-attention, each with a look at the source if there is one.

    A whole target goes through at once; word by word, keys and values are kept in the state.
    Embeddings come and go as in ``TransformerEncoder``.
    """

    def __init__(
        self,
        *,
        dim: int,
        memory_dim: int | None,
        layers: int,
        heads: int,
        feed_forward_dim: int,
        dropout: float,
        tells_attention: bool = False,
    ) -> None:
        """Without a ``memory_dim`` there is no source: a language model.

        ``tells_attention`` is asked for where somebody copies or draws: it costs the fused kernel
        in the last layer.
        """
        super().__init__()
        self.feature_dim = dim
        self.tells_attention = tells_attention
        self.positions = Positions(dim)
        self.layers = nn.ModuleList(
            DecoderLayer(
                dim=dim,
                memory_dim=memory_dim,
                heads=heads,
                feed_forward_dim=feed_forward_dim,
                dropout=dropout,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)

    @property
    def _layers(self) -> Sequence[DecoderLayer]:
        return cast("Sequence[DecoderLayer]", self.layers)

    def start(
        self,
        encoded: Encoded,
        recurrent: tuple[Tensor, ...] = (),  # noqa: ARG002 (the face of every decoder)
    ) -> TransformerState:
        """Project the memory for every layer, once; nothing comes over a bridge."""
        memory = tuple(layer.source.look_at(encoded.memory) for layer in self._layers)
        return TransformerState(sources=Sources.read(memory, encoded.mask))

    def silence(self, embedded: Tensor) -> TransformerState:
        """Return the state of as many rows as ``embedded`` has, where nothing is written yet."""
        return TransformerState(
            past=tuple(layer.back.silence(embedded) for layer in self._layers),
        )

    def forward(
        self, embedded: Tensor, state: TransformerState
    ) -> tuple[Readout, TransformerState]:
        """Write ``embedded`` (B, T, D) behind what ``state`` holds.

        Returns features (B, T, D) for each next word, with the mean attention of the heads of the
        last layer if that is told, and the state after the last word.
        """
        bias = _causal(state, embedded)
        hidden = self.positions(embedded, _places(state, embedded))
        past, weights = [], None
        for number, layer in enumerate(self._layers):
            before = state.past[number] if state.past else None
            hidden, seen = layer.look_back(hidden, bias, before)
            past.append(seen)
            if state.sources is not None:
                weigh = self.tells_attention and number == len(self.layers) - 1
                hidden, weights = layer.look_at_source(hidden, state.sources, number, weigh=weigh)
            hidden = layer.think(hidden)
        after = TransformerState(tuple(past), state.sources, state.skipped)
        return Readout(self.norm(hidden), attention=weights), after


def _places(state: TransformerState, embedded: Tensor) -> Tensor:
    """Return where the words stand: (T,), or (B, T) if rows began with padding."""
    after = state.length + embedded.size(1)
    places = torch.arange(state.length, after, device=embedded.device)
    if state.skipped is None:
        return places
    return (places - state.skipped.unsqueeze(1)).clamp_(min=0)


def _causal(state: TransformerState, embedded: Tensor) -> Tensor | None:
    """Return a bias (B or 1, 1, T, P + T) that hides what comes later, and padding before.

    Padding sees itself, for there must be something to see; nobody else looks at it.
    """
    steps, after = embedded.size(1), state.length + embedded.size(1)
    slots = torch.arange(after, device=embedded.device)
    if steps == 1:
        skipped = state.skipped
        return None if skipped is None else visible(slots >= skipped.unsqueeze(1)).unsqueeze(1)
    own = slots[state.length :].unsqueeze(1)  # (T, 1)
    hidden = slots > own  # (T, P + T)
    if state.skipped is not None:
        padding = slots < state.skipped[:, None, None]  # (B, 1, P + T)
        hidden = hidden | (padding & (slots != own))
    bias = torch.zeros(hidden.shape, device=embedded.device).masked_fill_(hidden, -math.inf)
    return bias[:, None] if bias.dim() == 3 else bias
