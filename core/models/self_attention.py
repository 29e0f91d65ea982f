"""A memory in which each step has looked at all of its source, as far as that helps it.

Sizes: B rows, S source steps, M memory.
"""

import torch
from torch import Tensor, nn

from core.models.precision import widened
from core.models.sources import visible


class GatedSelfAttention(nn.Module):
    """Steps of a memory look at each other; a gate decides how much each takes from that.

    Source: Zhao et al. 2018, 3.2.
    """

    def __init__(self, *, memory_dim: int) -> None:
        super().__init__()
        self.keys = nn.Linear(memory_dim, memory_dim, bias=False)
        self.fuse = nn.Linear(2 * memory_dim, memory_dim, bias=False)
        self.gate = nn.Linear(2 * memory_dim, memory_dim, bias=False)

    def forward(self, memory: Tensor, mask: Tensor) -> Tensor:
        """Return (B, S, M) for ``memory`` (B, S, M), whose real steps ``mask`` (B, S) names.

        Each row has one at least; at padding there are zeros.
        """
        products = widened(memory @ self.keys(memory).transpose(1, 2)) + visible(mask)  # (B, S, S)
        around = products.softmax(-1).to(memory.dtype) @ memory  # (B, S, M)
        both = torch.cat([memory, around], dim=-1)  # (B, S, 2 M)
        fused, gate = torch.tanh(self.fuse(both)), torch.sigmoid(self.gate(both))
        mixed = gate * fused + (1 - gate) * memory  # (B, S, M)
        return mixed.masked_fill(~mask.unsqueeze(-1), 0.0)
