"""Bridges: how the encoder's final state becomes the decoder's first one."""

import torch
from torch import Tensor, nn

from core.models.encoders import Encoded


class LinearBridge(nn.Module):
    """A learned projection through tanh for each state the decoder needs.

    Source: Bahdanau et al. 2015, A.2.2 (there from the first backward state).
    """

    def __init__(self, *, memory_dim: int, hidden_dim: int, layers: int, states: int) -> None:
        super().__init__()
        self.shape = (states, layers, hidden_dim)
        self.project = nn.Linear(memory_dim, states * layers * hidden_dim)

    def forward(self, encoded: Encoded) -> tuple[Tensor, ...]:
        """Map the encoder's last state to one (B, layers, H) tensor for each state."""
        states, layers, hidden_dim = self.shape
        final = encoded.final[0][:, -1]  # (B, M)
        first = torch.tanh(self.project(final)).view(-1, states, layers, hidden_dim)
        return tuple(first.unbind(1))
