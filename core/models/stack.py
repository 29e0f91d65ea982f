"""Recurrent layers on top of each other, each read in one or both directions.

Sizes: B rows, T steps, I inputs, H hidden of one direction, M = H * directions, L layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from core.models.cells import STATES, State
from core.models.dropout import LockedDropout
from core.models.dropout import dropout as make_dropout
from core.models.recurrence import Recurrence
from core.models.rows import silenced


@dataclass(frozen=True, slots=True)
class Draw:
    """What chance decided for sequences that are walked in several calls."""

    weights: tuple[tuple[Tensor, ...], ...]  # recurrent weights for each layer and direction
    masks: tuple[Tensor | None, ...]  # (B, 1, M) of locked dropout, for each layer

    def select(self, rows: Tensor) -> "Draw":
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        masks = tuple(None if mask is None else mask.index_select(0, rows) for mask in self.masks)
        return Draw(self.weights, masks)


class RecurrentLayer(nn.Module):
    """One or two recurrences over the same inputs, their outputs side by side."""

    def __init__(
        self,
        *,
        cell: str,
        input_dim: int,
        hidden_dim: int,
        reversals: Sequence[bool],  # for each direction, whether it reads from the end
        layer_norm: bool,
        weight_drop: float,
    ) -> None:
        super().__init__()
        self.hidden_dim = hidden_dim
        self.reversals = tuple(reversals)
        self.directions = nn.ModuleList(
            Recurrence(cell, input_dim, hidden_dim, layer_norm=layer_norm, weight_drop=weight_drop)
            for _ in reversals
        )

    def recurrences(self) -> list[Recurrence]:
        """Return the recurrence of each direction."""
        return [cast(Recurrence, direction) for direction in self.directions]

    def forward(
        self,
        inputs: Tensor,
        state: State | None,
        lengths: Tensor | None,
        weights: Sequence[Tensor] | None,
    ) -> tuple[Tensor, State]:
        """Walk over ``inputs`` (B, T, I); ``state`` is (B, M) each, as is the state returned."""
        walks = [
            recurrence(
                inputs,
                None if state is None else self._part(state, direction),
                lengths,
                reverse=self.reversals[direction],
                weight=None if weights is None else weights[direction],
            )
            for direction, recurrence in enumerate(self.recurrences())
        ]
        outputs = torch.cat([outputs for outputs, _ in walks], dim=-1)
        ends = zip(*(last for _, last in walks), strict=True)
        return outputs, tuple(torch.cat(parts, dim=-1) for parts in ends)

    def _part(self, state: State, direction: int) -> State:
        start = direction * self.hidden_dim
        return tuple(part[:, start : start + self.hidden_dim] for part in state)


class RecurrentStack(nn.Module):
    """Layers of one cell; dropout stands between them.

    ``locked_dropout`` drops the same features at every step (Gal and Ghahramani 2016);
    ``residual`` lets a layer add to what it was given wherever the sizes agree (He et al. 2016);
    ``reverse`` exchanges the two ways of reading.
    """

    def __init__(  # noqa: PLR0913 - these are the fields of a spec
        self,
        *,
        cell: str,
        input_dim: int,
        hidden_dim: int,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        locked_dropout: bool = False,
        residual: bool = False,
        layer_norm: bool = False,
        weight_drop: float = 0.0,
        reverse: bool = False,
    ) -> None:
        super().__init__()
        reversals = (reverse, not reverse) if bidirectional else (reverse,)
        self.output_dim = hidden_dim * len(reversals)
        self.residual = residual
        self.dropout = make_dropout(dropout, locked=locked_dropout)
        self.layers = nn.ModuleList(
            RecurrentLayer(
                cell=cell,
                input_dim=self.output_dim if number else input_dim,
                hidden_dim=hidden_dim,
                reversals=reversals,
                layer_norm=layer_norm,
                weight_drop=weight_drop,
            )
            for number in range(layers)
        )

    def recurrent_layers(self) -> list[RecurrentLayer]:
        """Return the layers, the lowest first."""
        return [cast(RecurrentLayer, layer) for layer in self.layers]

    def start(self, inputs: Tensor) -> State:
        """Return zeros (B, L, M) for as many rows as ``inputs`` (B, ...) has."""
        one = self.recurrent_layers()[0].recurrences()[0]
        size = (inputs.size(0), len(self.layers), self.output_dim)
        return (inputs.new_zeros(size, dtype=one.bias.dtype),) * STATES[one.cell]

    def draw(self, inputs: Tensor) -> Draw:
        """Decide once what is dropped while rows like ``inputs`` (B, ...) are walked in steps."""
        layers = self.recurrent_layers()
        between = inputs.new_empty(inputs.size(0), 1, self.output_dim)
        locked = self.dropout if isinstance(self.dropout, LockedDropout) else None
        return Draw(
            weights=tuple(tuple(one.draw() for one in layer.recurrences()) for layer in layers),
            masks=tuple(locked.draw(between) if locked and n else None for n in range(len(layers))),
        )

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        draw: Draw | None = None,
    ) -> tuple[Tensor, State]:
        """Walk over ``inputs`` (B, T, I) and return outputs (B, T, M) and the last state.

        ``state`` holds one (B, L, M) tensor for each vector the cell carries; none means zeros.
        ``lengths`` (B,) int64 says how many steps are real: states stop there, and outputs beyond
        are 0. ``draw`` lets several calls drop the same.
        """
        lasts = []
        for number, layer in enumerate(self.layers):
            outputs, last = layer(
                self._dropped(inputs, number, draw),
                None if state is None else tuple(part[:, number] for part in state),
                lengths,
                None if draw is None else draw.weights[number],
            )
            lasts.append(last)
            if self.residual and outputs.size(-1) == inputs.size(-1):
                outputs = outputs + (inputs if lengths is None else silenced(inputs, lengths))
            inputs = outputs
        return inputs, tuple(torch.stack(parts, dim=1) for parts in zip(*lasts, strict=True))

    def step(self, inputs: Tensor, state: State, draw: Draw | None = None) -> tuple[Tensor, State]:
        """Read ``inputs`` (B, I); return the outputs (B, M) and the next state."""
        outputs, after = self(inputs.unsqueeze(1), state, draw=draw)
        return outputs.squeeze(1), after

    def _dropped(self, inputs: Tensor, number: int, draw: Draw | None) -> Tensor:
        if number == 0:
            return inputs
        mask = None if draw is None else draw.masks[number]
        dropped: Tensor = self.dropout(inputs) if mask is None else inputs * mask
        return dropped
