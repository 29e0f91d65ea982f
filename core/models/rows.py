"""Rows of different lengths in one tensor: padding stands on the right and must never tell.

Sizes: B rows, T steps, F features.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def padding(sequence: Tensor, lengths: Tensor) -> Tensor:
    """Return (B, T), True where ``sequence`` (B, T, F) is beyond ``lengths`` (B,)."""
    time = torch.arange(sequence.size(1), device=sequence.device)
    return time >= lengths.unsqueeze(1)


def silenced(sequence: Tensor, lengths: Tensor) -> Tensor:
    """Return ``sequence`` (B, T, F) with zeros beyond ``lengths`` (B,)."""
    return sequence.masked_fill(padding(sequence, lengths).unsqueeze(-1), 0.0)


def reversal(sequence: Tensor, lengths: Tensor | None) -> Tensor:
    """Return for each position of (B, T) the one it changes places with; padding stays."""
    rows, steps = sequence.shape[:2]
    time = torch.arange(steps, device=sequence.device).expand(rows, -1)
    if lengths is None:
        return steps - 1 - time
    mirrored = lengths.unsqueeze(1) - 1 - time
    return torch.where(mirrored >= 0, mirrored, time)


def reordered(sequence: Tensor, order: Tensor) -> Tensor:
    """Let positions of ``sequence`` (B, T, F) change places, as ``reversal`` says."""
    rows, steps = order.shape
    starts = torch.arange(0, rows * steps, steps, device=order.device)
    flat = (order + starts.unsqueeze(1)).flatten()
    swapped: Tensor = _Swap.apply(sequence.flatten(0, 1), flat)  # type: ignore[no-untyped-call]
    return swapped.view_as(sequence)


class _Swap(torch.autograd.Function):
    """Rows change places in pairs; so do their gradients, and nothing is added up."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return rows.index_select(0, order)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors
        return gradient.index_select(0, order), None
