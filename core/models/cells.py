"""The three cells: what a step makes of its inputs and of the state before.

Sizes: B rows, H hidden, G gates. Products with weights are made outside; here is the rest.
"""

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]  # (B, H) each: h, and c for an LSTM

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
STATES = {"rnn": 1, "gru": 1, "lstm": 2}  # how many vectors a cell carries along


class CellNorms(nn.Module):
    """The layer norms inside a cell; the cell's bias shifts what they scale.

    Source: Ba et al. 2016, supplement 1: both products are normalised, and an LSTM's c on its
    way out.
    """

    def __init__(self, cell: str, hidden_dim: int) -> None:
        super().__init__()
        width = GATES[cell] * hidden_dim
        self.input = nn.LayerNorm(width, bias=False)
        self.hidden = nn.LayerNorm(width, bias=False)
        self.memory = nn.LayerNorm(hidden_dim) if cell == "lstm" else None


def advance(
    cell: str,
    projected: Tensor,
    hidden: Tensor,
    state: State,
    bias: Tensor,
    bias_candidate: Tensor | None,
    norms: CellNorms | None,
) -> State:
    """Return the state after one step.

    ``projected`` and ``hidden`` (B, G * H) are the inputs and the h before times their weights.
    ``state`` is (h,) or, for an LSTM, (h, c), each (B, H).
    """
    if norms is not None:
        projected, hidden = norms.input(projected), norms.hidden(hidden)
    projected = projected + bias
    if cell == "lstm":
        memory_norm = None if norms is None else norms.memory
        return _lstm(projected + hidden, state[1], memory_norm)
    if bias_candidate is not None:
        return (_gru(projected, hidden, state[0], bias_candidate),)
    return (torch.tanh(projected + hidden),)


def _lstm(gates: Tensor, before: Tensor, norm: nn.LayerNorm | None) -> tuple[Tensor, Tensor]:
    """Hochreiter and Schmidhuber 1997, with forget gates: Gers et al. 2000."""
    enter, keep, candidate, leave = gates.chunk(4, dim=-1)
    memory = torch.sigmoid(keep) * before + torch.sigmoid(enter) * torch.tanh(candidate)
    shown = memory if norm is None else norm(memory)
    return torch.sigmoid(leave) * torch.tanh(shown), memory


def _gru(projected: Tensor, hidden: Tensor, before: Tensor, bias: Tensor) -> Tensor:
    """Cho et al. 2014, with the reset after the product, as cuDNN and torch have it."""
    hidden_dim = before.size(-1)
    gates = torch.sigmoid(projected[..., : 2 * hidden_dim] + hidden[..., : 2 * hidden_dim])
    reset, keep = gates.chunk(2, dim=-1)
    candidate = torch.tanh(
        projected[..., 2 * hidden_dim :] + reset * (hidden[..., 2 * hidden_dim :] + bias)
    )
    return candidate + keep * (before - candidate)
