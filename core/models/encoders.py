"""Encoders: token embeddings in, one memory vector for each source position out."""

from typing import NamedTuple, Protocol

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

CELLS: dict[str, type[nn.GRU | nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class Encoded(NamedTuple):
    """What an encoder leaves. Sizes: B batch, S source steps, M memory."""

    memory: Tensor  # (B, S, M)
    mask: Tensor  # (B, S), True at real tokens
    final: tuple[Tensor, ...]  # each (B, layers, M), directions side by side: h, an LSTM's c


class Encoder(Protocol):
    """Whatever turns embedded source tokens into a memory."""

    memory_dim: int

    def __call__(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """Encode ``embedded`` (B, S, E) whose real positions ``mask`` (B, S) names."""
        ...


class RecurrentEncoder(nn.Module):
    """Stacked GRU or LSTM, read in one or both directions.

    Sequences are packed, so padding is never read: neither the states nor the memory of a
    row depend on what else is in its batch.
    """

    def __init__(
        self,
        *,
        cell: str,
        embedding_dim: int,
        hidden_dim: int,
        layers: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        directions = 2 if bidirectional else 1
        self.memory_dim = hidden_dim * directions
        self.directions = directions
        self.rnn = CELLS[cell](
            embedding_dim,
            hidden_dim,
            num_layers=layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0,
        )

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """Encode ``embedded`` (B, S, E); each row of ``mask`` (B, S) starts with its True part."""
        lengths = mask.sum(1).cpu()
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        outputs, state = self.rnn(packed)
        memory, _ = pad_packed_sequence(outputs, batch_first=True, total_length=mask.size(1))
        states = state if isinstance(state, tuple) else (state,)  # (layers * directions, B, H)
        return Encoded(memory, mask, tuple(self._side_by_side(one) for one in states))

    def _side_by_side(self, state: Tensor) -> Tensor:
        """Turn ``state`` (layers * directions, B, H) into (B, layers, M)."""
        layers = state.size(0) // self.directions
        return state.permute(1, 0, 2).reshape(state.size(1), layers, self.memory_dim)
