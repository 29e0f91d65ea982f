"""Whole sequences through the layers that torch has fused, each row to its own end.

Sizes: B rows, T steps, I inputs, H hidden, G gates. On a CPU, a loop in Python over the same
products, hand-written gradients included, takes half as long again, in fp32 and in bf16.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.models.cells import State
from core.models.precision import matrix_dtype, widened
from core.models.rows import padding, silenced

_SHUT = 1e4  # a sigmoid of this is 1, of its negative 0, exactly
_FLAG_COLUMNS = 32  # one would do, but odd sizes are slow in bf16


class Weights(NamedTuple):
    """The parameters of one layer in one direction, as ``Recurrence`` names them."""

    input: Tensor  # (G * H, I)
    hidden: Tensor  # (G * H, H)
    bias: Tensor  # (G * H,)
    bias_candidate: Tensor | None  # (H,)


def run_fused(
    cell: str, inputs: Tensor, state: State, lengths: Tensor | None, weights: Weights
) -> tuple[Tensor, State]:
    """Walk over ``inputs`` (B, T, I) from ``state``; return outputs (B, T, H) and the last state.

    ``lengths`` (B,) int64 is where rows end: the last state is the one there, and outputs beyond
    are 0.
    """
    inputs = inputs.to(matrix_dtype(weights.input))
    if lengths is None:
        return _run(cell, inputs, state, weights)
    inputs = silenced(inputs, lengths)
    if cell == "lstm":
        inputs = flagged(inputs, padding(inputs, lengths))
        weights = weights._replace(input=heeding_flags(weights.input.to(inputs.dtype)))
    outputs, after = _run(cell, inputs, state, weights)
    before = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, outputs.size(2))
    ended = (lengths > 0).unsqueeze(1)  # (B, 1)
    hidden = torch.where(ended, widened(outputs.gather(1, before).squeeze(1)), state[0])
    return silenced(outputs, lengths), (hidden, *after[1:])


def flagged(inputs: Tensor, padding: Tensor | None) -> Tensor:
    """Add columns to ``inputs`` (..., I) that tell an LSTM where ``padding`` (...) is."""
    wider = functional.pad(inputs, (0, _FLAG_COLUMNS))
    if padding is not None:
        wider[..., inputs.size(-1)] = padding
    return wider


def heeding_flags(weight: Tensor) -> Tensor:
    """Widen the input weight (4 * H, I) of an LSTM: at padding its c stays, for f = 1 and i = 0."""
    gates = weight.new_zeros(4, weight.size(0) // 4, _FLAG_COLUMNS)
    gates[0, :, 0], gates[1, :, 0] = -_SHUT, _SHUT
    return torch.cat([weight, gates.flatten(0, 1)], dim=1)


def _run(cell: str, inputs: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Walk over whole rows."""
    flat = [weights.input, weights.hidden, weights.bias, _second_bias(weights)]
    first = [part.unsqueeze(0) for part in state]
    # has_biases, layers, dropout, train, bidirectional, batch_first
    how = (True, 1, 0.0, torch.is_grad_enabled(), False, True)
    if cell == "lstm":
        outputs, hidden, memory = torch.lstm(inputs, first, flat, *how)
        return outputs, (widened(hidden[0]), widened(memory[0]))
    run = torch.gru if cell == "gru" else torch.rnn_tanh
    outputs, hidden = run(inputs, first[0], flat, *how)
    return outputs, (widened(hidden[0]),)


def _second_bias(weights: Weights) -> Tensor:
    """Return the bias of the recurrent product, which only a GRU's candidate needs."""
    if weights.bias_candidate is None:
        return torch.zeros_like(weights.bias)
    gates = weights.bias.new_zeros(weights.bias.numel() - weights.bias_candidate.numel())
    return torch.cat([gates, weights.bias_candidate])
