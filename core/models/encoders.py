"""Encoders: token embeddings in, one memory vector for each source position out.

Sizes: B rows, S source steps, E embedding, M memory, L layers.
"""

from typing import NamedTuple, Protocol

from torch import Tensor, nn

from core.models.stack import RecurrentStack


class Encoded(NamedTuple):
    """What an encoder leaves."""

    memory: Tensor  # (B, S, M), zeros at padding
    mask: Tensor  # (B, S), True at real tokens
    final: tuple[Tensor, ...]  # (B, L, M) each: the last h, c of an LSTM; directions side by side


class Encoder(Protocol):
    """Whatever turns embedded source tokens into a memory."""

    memory_dim: int

    def __call__(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """Encode ``embedded`` (B, S, E) whose real positions ``mask`` (B, S) names."""
        ...


class RecurrentEncoder(nn.Module):
    """A stack of recurrent layers, read in one or both directions.

    Padding is never read: neither the states nor the memory of a row depend on what else is in
    its batch. A stack in ``reverse`` reads each source from its last token to its first (Sutskever
    et al. 2014, 3.3); the memory stays at its tokens.
    """

    def __init__(self, stack: RecurrentStack) -> None:
        super().__init__()
        self.stack = stack
        self.memory_dim = stack.output_dim

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """Encode ``embedded`` (B, S, E); each row of ``mask`` (B, S) starts with its True part."""
        memory, final = self.stack(embedded, lengths=mask.sum(1))
        return Encoded(memory, mask, final)
