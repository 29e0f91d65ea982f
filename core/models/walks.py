"""Recurrent layers that only answer: every product packed, and no step spent on padding.

Sizes: B rows, T steps, N real steps of all rows, I inputs, H hidden of one direction, G gates,
D directions, M = H * D, L layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from core.models.cells import STATES, State, advance
from core.models.products import Packing
from core.models.recurrence import Recurrence
from core.models.rows import silenced
from core.models.stack import RecurrentLayer, RecurrentStack

_BOUND = 1.0  # of every h: they are made by a tanh, times or between what is as small


@dataclass(frozen=True, slots=True)
class Schedule:
    """In which order the real steps of rows are walked: all first ones, all second ones, ..."""

    rows: Tensor  # (B,), the longest first
    back: Tensor  # (B,), where each row went
    counts: list[int]  # for each step, how many rows have one
    forwards: Tensor  # (N,), where the steps stand in (B * T), from the first of each row
    backwards: Tensor  # (N,), and from the last

    @classmethod
    def of(cls, lengths: Tensor, steps: int) -> "Schedule":
        """Plan for rows with ``lengths`` (B,) of ``steps``."""
        sorted_, rows = torch.sort(lengths, descending=True, stable=True)
        time = torch.arange(steps, device=lengths.device).unsqueeze(1)  # (T, 1)
        real = time < sorted_  # (T, B)
        starts = rows * steps
        return cls(
            rows=rows,
            back=rows.argsort(),
            counts=[count for count in real.sum(1).tolist() if count],
            forwards=(starts + time)[real],
            backwards=(starts + sorted_ - 1 - time)[real],
        )


class ReadyRecurrence(nn.Module):
    """One layer in one direction, as ``Recurrence`` learned it."""

    def __init__(self, learned: Recurrence, packing: Packing, *, tabled: int) -> None:
        """Of the first ``tabled`` inputs the product comes ready-made, its bias included."""
        super().__init__()
        self.cell, self.hidden_dim, self.norms = learned.cell, learned.hidden_dim, learned.norms
        self.bias, candidate = learned.bias.detach(), learned.bias_candidate
        self.bias_candidate = None if candidate is None else candidate.detach()
        self.tabled = tabled > 0
        weight, bias = input_part(learned)
        rest = weight[:, tabled:]
        self.inputs = None
        if rest.size(1):
            self.inputs = packing.product(rest, None if tabled else bias)
        hidden_bias = None
        if self.norms is None and self.bias_candidate is not None:
            gates = self.bias.new_zeros(2 * self.hidden_dim)
            hidden_bias = torch.cat([gates, self.bias_candidate])
        weight = _ordered(learned.weight_hidden.detach(), learned)
        self.hidden = packing.product(weight, hidden_bias, bound=_BOUND)

    def project(self, inputs: Tensor, place: int, width: int) -> Tensor:
        """Return the input part of gates (N, G * H) for ``inputs`` (N, I).

        Of ready-made products, ``width`` in all, this one's begin at ``place``.
        """
        if not self.tabled:
            return self.inputs(inputs) if self.inputs is not None else inputs
        ready = inputs[:, place : place + self.bias.size(0)]
        return ready if self.inputs is None else self.inputs(inputs[:, width:], ready)

    def step(self, projected: Tensor, state: State) -> State:
        """Return the state after one step; ``projected`` (B, G * H) is the input part of gates."""
        if self.norms is not None:
            hidden, biases = self.hidden(state[0]), (self.bias, self.bias_candidate)
            return advance(self.cell, projected, hidden, state, *biases, self.norms)
        if self.cell == "lstm":
            return self._lstm(self.hidden(state[0], projected), state[1])
        if self.cell == "gru":
            return (self._gru(projected, self.hidden(state[0]), state[0]),)
        return (self.hidden(state[0], projected).tanh_(),)

    def walk(self, projected: Tensor, state: State, counts: Sequence[int]) -> tuple[Tensor, State]:
        """Go through ``projected`` (N, G * H), so many rows at each step, the longest first.

        Returns outputs (N, H) and the last state (B, H) of each row.
        """
        outputs, ends = [], []
        for now in torch.split(projected, list(counts)):
            count = now.size(0)
            if count < state[0].size(0):
                ends.append(tuple(part[count:] for part in state))
                state = tuple(part[:count] for part in state)
            state = self.step(now, state)
            outputs.append(state[0])
        parts = zip(state, *reversed(ends), strict=True)
        whole = torch.cat(outputs) if outputs else projected.new_zeros(0, self.hidden_dim)
        return whole, tuple(torch.cat(part) for part in parts)

    def _lstm(self, gates: Tensor, before: Tensor) -> State:
        """Advance by ``gates`` (B, 4 * H), which stand as i f o g."""
        width = self.hidden_dim
        shut = torch.sigmoid(gates[:, : 3 * width])
        memory = torch.mul(shut[:, width : 2 * width], before)
        memory.addcmul_(shut[:, :width], torch.tanh(gates[:, 3 * width :]))
        return torch.tanh(memory).mul_(shut[:, 2 * width :]), memory

    def _gru(self, projected: Tensor, hidden: Tensor, before: Tensor) -> Tensor:
        """Advance by r z n; n stands alone in ``hidden`` (B, 3 * H), its bias included."""
        width = 2 * self.hidden_dim
        gates = torch.add(projected[:, :width], hidden[:, :width]).sigmoid_()
        reset, keep = gates.chunk(2, dim=-1)
        candidate = torch.addcmul(projected[:, width:], reset, hidden[:, width:]).tanh_()
        return candidate + keep * (before - candidate)


class ReadyLayer(nn.Module):
    """One or two recurrences over the same inputs, their outputs side by side."""

    def __init__(self, learned: RecurrentLayer, packing: Packing, *, tabled: int = 0) -> None:
        """Of the first ``tabled`` inputs the products come ready-made, as ``table`` makes them."""
        super().__init__()
        self.hidden_dim, self.reversals = learned.hidden_dim, learned.reversals
        self.directions = [
            ReadyRecurrence(one, packing, tabled=tabled) for one in learned.recurrences()
        ]
        self.places = [number * one.bias.size(0) for number, one in enumerate(self.directions)]
        self.width = sum(one.bias.size(0) for one in self.directions) if tabled else 0

    def step(self, inputs: Tensor, state: State) -> State:
        """Read ``inputs`` (B, I); ``state`` is (B, M) each, as is the next."""
        walks = zip(self.directions, self.places, self._split(state), strict=True)
        return _side_by_side(
            [one.step(one.project(inputs, at, self.width), part) for one, at, part in walks]
        )

    def walk(self, inputs: Tensor, state: State, schedule: Schedule) -> tuple[Tensor, State]:
        """Go through ``inputs`` (B, T, I); returns outputs (B, T, M), 0 at padding, and the last.

        States are (B, M) each.
        """
        rows, steps = inputs.shape[:2]
        flat = inputs.flatten(0, 1)
        sorted_ = tuple(part.index_select(0, schedule.rows) for part in state)
        sides, lasts = [], []
        ways = zip(self.directions, self.places, self.reversals, self._split(sorted_), strict=True)
        for one, at, reverse, part in ways:
            places = schedule.backwards if reverse else schedule.forwards
            projected = one.project(flat.index_select(0, places), at, self.width)
            outputs, last = one.walk(projected, part, schedule.counts)
            side = outputs.new_zeros(rows * steps, self.hidden_dim)
            sides.append(side.index_copy_(0, places, outputs).view(rows, steps, -1))
            lasts.append(tuple(end.index_select(0, schedule.back) for end in last))
        return torch.cat(sides, dim=-1), _side_by_side(lasts)

    def _split(self, state: State) -> list[State]:
        """Return each direction's part (B, H) of ``state`` (B, M)."""
        parts = (torch.split(part, self.hidden_dim, dim=-1) for part in state)
        return list(zip(*parts, strict=True))


class ReadyStack(nn.Module):
    """Recurrent layers on top of each other, as ``RecurrentStack`` learned them."""

    def __init__(self, learned: RecurrentStack, packing: Packing, *, tabled: int = 0) -> None:
        """Of the first ``tabled`` inputs of the lowest layer the products come ready-made."""
        super().__init__()
        self.output_dim, self.residual = learned.output_dim, learned.residual
        self.layers = nn.ModuleList(
            ReadyLayer(layer, packing, tabled=0 if number else tabled)
            for number, layer in enumerate(learned.recurrent_layers())
        )
        self.states = STATES[learned.recurrent_layers()[0].recurrences()[0].cell]

    def start(self, inputs: Tensor) -> State:
        """Return zeros (B, L, M) for as many rows as ``inputs`` (B, ...) has."""
        zeros = inputs.new_zeros(inputs.size(0), len(self.layers), self.output_dim)
        return (zeros,) * self.states

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        draw: None = None,  # noqa: ARG002 - the face of a stack that learns
    ) -> tuple[Tensor, State]:
        """Walk over ``inputs`` (B, T, I) and return outputs (B, T, M) and the last state.

        ``state`` and ``lengths`` are those of ``RecurrentStack``.
        """
        state = self.start(inputs) if state is None else state
        schedule = None
        if lengths is not None or inputs.size(1) != 1:
            rows, steps = inputs.shape[:2]
            whole = torch.full((rows,), steps) if lengths is None else lengths
            schedule = Schedule.of(whole, steps)
        lasts = []
        for number, layer in enumerate(cast("Sequence[ReadyLayer]", self.layers)):
            before = tuple(part[:, number] for part in state)
            if schedule is None:
                last = layer.step(inputs[:, 0], before)
                outputs = last[0].unsqueeze(1)
            else:
                outputs, last = layer.walk(inputs, before, schedule)
            lasts.append(last)
            if self.residual and not layer.width and outputs.size(-1) == inputs.size(-1):
                outputs = outputs + (inputs if lengths is None else silenced(inputs, lengths))
            inputs = outputs
        return inputs, _stacked(lasts)


def input_part(learned: Recurrence) -> tuple[Tensor, Tensor]:
    """Return weight (G * H, I) and bias (G * H,) of what ``ReadyRecurrence.step`` is given."""
    weight, bias = learned.weight_input.detach(), learned.bias.detach()
    bias = bias if learned.norms is None else torch.zeros_like(bias)  # added after they normalise
    return _ordered(weight, learned), _ordered(bias, learned)


def _ordered(gates: Tensor, learned: Recurrence) -> Tensor:
    """Have the three sigmoids of an LSTM stand side by side in (4 * H, ...): i f o g."""
    if learned.cell != "lstm" or learned.norms is not None:
        return gates
    enter, keep, candidate, leave = gates.chunk(4)
    return torch.cat([enter, keep, leave, candidate])


def _side_by_side(states: Sequence[State]) -> State:
    if len(states) == 1:
        return states[0]
    return tuple(torch.cat(parts, dim=-1) for parts in zip(*states, strict=True))


def _stacked(lasts: Sequence[State]) -> State:
    """Turn the states (B, M) of layers into (B, L, M)."""
    if len(lasts) == 1:
        return tuple(part.unsqueeze(1) for part in lasts[0])
    return tuple(torch.stack(parts, dim=1) for parts in zip(*lasts, strict=True))
