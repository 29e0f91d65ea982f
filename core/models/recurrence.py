"""One recurrent layer in one direction: tanh-RNN, GRU or LSTM.

Sizes: B rows, T steps, I inputs, H hidden, G gates. Rows are right-padded; with ``lengths`` a
row's state stops where the row ends, so padding is never read.
Gates stand in torch's order: i f g o for an LSTM, r z n for a GRU.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.cells import GATES, STATES, CellNorms, State, advance
from core.models.fused import Weights, run_fused
from core.models.rows import reordered, reversal, silenced


class Recurrence(nn.Module):
    """A cell and the walk of it over a sequence.

    ``layer_norm`` normalises inside the cell (Ba et al. 2016, supplement 1); ``weight_drop`` drops
    recurrent weights, one draw for a sequence (Merity et al. 2018, 2).
    """

    def __init__(
        self,
        cell: str,
        input_dim: int,
        hidden_dim: int,
        *,
        layer_norm: bool = False,
        weight_drop: float = 0.0,
    ) -> None:
        super().__init__()
        width = GATES[cell] * hidden_dim
        self.cell = cell
        self.hidden_dim = hidden_dim
        self.weight_drop = weight_drop
        self.weight_input = nn.Parameter(torch.empty(width, input_dim))
        self.weight_hidden = nn.Parameter(torch.empty(width, hidden_dim))
        self.bias = nn.Parameter(torch.empty(width))
        self.bias_candidate = nn.Parameter(torch.empty(hidden_dim)) if cell == "gru" else None
        self.norms = CellNorms(cell, hidden_dim) if layer_norm else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier for inputs, orthogonal for each gate of the recurrence, zero biases."""
        nn.init.xavier_uniform_(self.weight_input)
        for gate in torch.split(self.weight_hidden.data, self.hidden_dim):
            nn.init.orthogonal_(gate)
        nn.init.zeros_(self.bias)
        if self.bias_candidate is not None:
            nn.init.zeros_(self.bias_candidate)

    def start(self, inputs: Tensor) -> State:
        """Return the state of zeros for as many rows as ``inputs`` (B, ...) has."""
        zeros = inputs.new_zeros(inputs.size(0), self.hidden_dim, dtype=self.bias.dtype)
        return (zeros,) * STATES[self.cell]

    def draw(self) -> Tensor:
        """Return recurrent weights (G * H, H) for one sequence; in training some are dropped."""
        return functional.dropout(self.weight_hidden, self.weight_drop, self.training)

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        *,
        reverse: bool = False,
        weight: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Walk over ``inputs`` (B, T, I) and return outputs (B, T, H) and the last state.

        ``lengths`` (B,) int64 says how many steps of each row are real: the last state is the one
        after them, and outputs beyond are 0. ``reverse`` reads each row from its last real step
        to its first; outputs stay at their positions. ``weight`` is what ``draw`` returned, where
        one draw is to serve several calls.
        """
        state = self.start(inputs) if state is None else state
        weight = self.draw() if weight is None else weight
        order = reversal(inputs, lengths) if reverse else None
        if order is not None:
            inputs = reordered(inputs, order)
        if self.norms is None and inputs.size(1) > 1:
            parameters = Weights(self.weight_input, weight, self.bias, self.bias_candidate)
            outputs, last = run_fused(self.cell, inputs, state, lengths, parameters)
        else:
            outputs, last = self._walk(inputs, state, lengths, weight)
        return outputs if order is None else reordered(outputs, order), last

    def step(self, inputs: Tensor, state: State, weight: Tensor | None = None) -> State:
        """Read ``inputs`` (B, I) and return the next state."""
        weight = self.draw() if weight is None else weight
        projected = functional.linear(inputs, self.weight_input)
        return self._advance(projected, state, weight)

    def _advance(self, projected: Tensor, state: State, weight: Tensor) -> State:
        hidden = functional.linear(state[0], weight)
        return advance(
            self.cell, projected, hidden, state, self.bias, self.bias_candidate, self.norms
        )

    def _walk(
        self, inputs: Tensor, state: State, lengths: Tensor | None, weight: Tensor
    ) -> tuple[Tensor, State]:
        """Go step by step: the way of what no fused layer knows, and of a single step."""
        projected = functional.linear(inputs, self.weight_input)  # (B, T, G * H)
        outputs = []
        for time, now in enumerate(projected.unbind(1)):
            after = self._advance(now, state, weight)
            if lengths is not None:
                real = (lengths > time).unsqueeze(1)  # (B, 1)
                after = tuple(torch.where(real, *pair) for pair in zip(after, state, strict=True))
            outputs.append(after[0])
            state = after
        steps = torch.stack(outputs, dim=1)
        return steps if lengths is None else silenced(steps, lengths), state
