"""A Transformer that reads a source: every position looks at every other.

The layers are normalised before what they do, not after, so that they learn without a long
warm-up. Source: Vaswani et al. 2017, 3.1; Xiong et al. 2020 for the order.
Sizes: B rows, S source steps, D width.
"""

import torch
from torch import Tensor, nn

from core.models.dropout import Dropout
from core.models.encoders import Encoded
from core.models.multihead import FeedForward, Positions, SelfAttention
from core.models.sources import visible


class EncoderLayer(nn.Module):
    """Look around, then think for oneself; both are added to what one was."""

    def __init__(self, *, dim: int, heads: int, feed_forward_dim: int, dropout: float) -> None:
        super().__init__()
        self.norm_around = nn.LayerNorm(dim)
        self.around = SelfAttention(dim=dim, heads=heads, dropout=dropout)
        self.norm_feed = nn.LayerNorm(dim)
        self.feed = FeedForward(dim=dim, feed_forward_dim=feed_forward_dim, dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(self, inputs: Tensor, bias: Tensor) -> Tensor:
        """Map ``inputs`` (B, S, D) to (B, S, D); ``bias`` is -inf at padding."""
        around, _ = self.around(self.norm_around(inputs), bias)
        middle = inputs + self.dropout(around)
        outputs: Tensor = middle + self.dropout(self.feed(self.norm_feed(middle)))
        return outputs


class TransformerEncoder(nn.Module):
    """Layers of self-attention over a source that is read at once.

    The embeddings come with their dropout; here they are multiplied by sqrt(D), as their
    standard deviation of 1 / sqrt(D) asks for.
    """

    def __init__(
        self, *, dim: int, layers: int, heads: int, feed_forward_dim: int, dropout: float
    ) -> None:
        super().__init__()
        self.memory_dim = dim
        self.positions = Positions(dim)
        self.layers = nn.ModuleList(
            EncoderLayer(dim=dim, heads=heads, feed_forward_dim=feed_forward_dim, dropout=dropout)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """Encode ``embedded`` (B, S, D); ``mask`` (B, S) is True at real tokens, one at least.

        The final state is one: the mean memory of the real tokens, as (B, 1, D).
        """
        places = torch.arange(embedded.size(1), device=embedded.device)
        hidden = self.positions(embedded, places)
        bias = visible(mask)[:, None]  # (B, 1, 1, S)
        for layer in self.layers:
            hidden = layer(hidden, bias)
        memory = self.norm(hidden)  # (B, S, D)
        real = mask.unsqueeze(-1)
        mean = memory.masked_fill(~real, 0.0).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        return Encoded(memory, mask, (mean,))
