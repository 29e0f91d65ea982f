"""Decoders: the words so far and the source memory in, a feature vector for each next word out."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from core.models.attention import Attention
from core.models.encoders import CELLS, Encoded
from core.models.readout import Readout


@dataclass(frozen=True, slots=True)
class DecoderState:
    """Everything that decoding carries from step to step. All tensors have the batch in front."""

    recurrent: tuple[Tensor, ...]  # each (B, layers, H): h, and c for an LSTM
    memory: Tensor  # (B, S, M)
    keys: Tensor  # (B, S, K)
    mask: Tensor  # (B, S)

    def select(self, rows: Tensor) -> "DecoderState":
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        return DecoderState(
            recurrent=tuple(state.index_select(0, rows) for state in self.recurrent),
            memory=self.memory.index_select(0, rows),
            keys=self.keys.index_select(0, rows),
            mask=self.mask.index_select(0, rows),
        )


class AttentionDecoder(nn.Module):
    """An RNN over the target; attention and a tanh layer come after the cell.

    Without input feeding the whole target runs through the RNN in one call.
    Source: Luong et al. 2015, 3 (h_t -> a_t -> c_t -> h~_t).
    Sizes: B batch, T target steps, S source steps, E embedding, H hidden, M memory.
    """

    def __init__(
        self,
        *,
        cell: str,
        embedding_dim: int,
        hidden_dim: int,
        memory_dim: int,
        layers: int,
        feature_dim: int,
        attention: Attention,
        dropout: float,
    ) -> None:
        super().__init__()
        self.rnn = CELLS[cell](
            embedding_dim,
            hidden_dim,
            num_layers=layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.attention = attention
        self.combine = nn.Linear(hidden_dim + memory_dim, feature_dim)
        self.dropout = nn.Dropout(dropout)

    def start(self, encoded: Encoded, recurrent: tuple[Tensor, ...]) -> DecoderState:
        """Put together the first state; ``recurrent`` comes from a bridge."""
        keys = self.attention.keys(encoded.memory)
        return DecoderState(recurrent, encoded.memory, keys, encoded.mask)

    def forward(self, embedded: Tensor, state: DecoderState) -> tuple[Readout, DecoderState]:
        """Run ``embedded`` (B, T, E) from ``state``.

        Returns what the output layer reads, for each next word, and the state after the last.
        """
        first = tuple(part.transpose(0, 1).contiguous() for part in state.recurrent)
        outputs, last = self.rnn(embedded, first if len(first) == 2 else first[0])
        outputs = self.dropout(outputs)  # (B, T, H)
        contexts, weights = self.attention(outputs, state.keys, state.memory, state.mask)
        features = torch.tanh(self.combine(torch.cat([outputs, contexts], dim=-1)))
        after = last if isinstance(last, tuple) else (last,)
        recurrent = tuple(part.transpose(0, 1) for part in after)
        readout = Readout(self.dropout(features), attention=weights)
        return readout, replace(state, recurrent=recurrent)
