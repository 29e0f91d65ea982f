"""Bridges: how the encoder's last state becomes the decoder's first one.

Sizes: B rows, S source steps, H hidden, M memory, L layers.
"""

import torch
from torch import Tensor, nn

from core.models.encoders import Encoded


class LastBridge(nn.Module):
    """Each layer's last state as it is. Source: Sutskever et al. 2014, 2."""

    def forward(self, encoded: Encoded) -> tuple[Tensor, ...]:
        """Return (B, L, H) for each state the encoder's cell carries."""
        return encoded.final


class ZeroBridge(nn.Module):
    """Zeros: the decoder hears of the source through attention or peeking alone."""

    def __init__(self, *, hidden_dim: int, layers: int, states: int) -> None:
        super().__init__()
        self.shape = (states, layers, hidden_dim)

    def forward(self, encoded: Encoded) -> tuple[Tensor, ...]:
        """Return (B, L, H) zeros for each state the decoder needs."""
        states, layers, hidden_dim = self.shape
        zeros = encoded.final[0].new_zeros(len(encoded.mask), layers, hidden_dim)
        return (zeros,) * states


class LinearBridge(nn.Module):
    """A learned projection through tanh for each state the decoder needs.

    It reads the last layer's h; ``of_mean`` has it read the mean of the memory instead.
    Source: Bahdanau et al. 2015, A.2.2 (there from the first backward state); Xu et al. 2015,
    3.1.2 (from the mean).
    """

    def __init__(
        self, *, memory_dim: int, hidden_dim: int, layers: int, states: int, of_mean: bool = False
    ) -> None:
        super().__init__()
        self.shape = (states, layers, hidden_dim)
        self.of_mean = of_mean
        self.project = nn.Linear(memory_dim, states * layers * hidden_dim)

    def forward(self, encoded: Encoded) -> tuple[Tensor, ...]:
        """Return (B, L, H) for each state the decoder needs."""
        states, layers, hidden_dim = self.shape
        read = _mean(encoded) if self.of_mean else encoded.final[0][:, -1]  # (B, M)
        first = torch.tanh(self.project(read)).view(-1, states, layers, hidden_dim)
        return tuple(first.unbind(1))


def _mean(encoded: Encoded) -> Tensor:
    """Return the mean (B, M) of the memory over real tokens."""
    real = encoded.mask.unsqueeze(-1).to(encoded.memory.dtype)
    return (encoded.memory * real).sum(1) / real.sum(1)
