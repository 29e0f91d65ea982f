"""LSTMs that only read whole rows, in the one call that oneDNN has for a layer.

A walk step by step spends more on its small operations than on its products: beside that, a source
of 12 steps takes a tenth of the time here, in bf16, and 64 of 40 steps half (a Xeon with AMX).
Sizes: B rows, T steps, I inputs, H hidden of one direction, M = H * directions, L layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from core.models.cells import State
from core.models.fused import flagged, heeding_flags
from core.models.known import known_count
from core.models.precision import fast_bf16
from core.models.products import Packing, packs
from core.models.recurrence import Recurrence
from core.models.stack import RecurrentLayer, RecurrentStack

_FEWEST = 2  # rows: a single one would be summed in another order, and not be what it is in company
_BLOCK = 256  # steps of padding that cost as much as reading a block of rows apart
_SHORT = 32  # steps; longer rows are padded to fewer lengths
_LSTM = 2  # how torch's operators call this cell

_read_layer = torch.ops.aten.mkldnn_rnn_layer.default


def fuses(learned: RecurrentStack) -> bool:
    """Return whether ``FusedStack`` can stand for ``learned`` on this machine."""
    one = learned.recurrent_layers()[0].recurrences()[0]
    plain = one.cell == "lstm" and one.norms is None
    return plain and packs() and hasattr(torch.ops.mkldnn, "_reorder_mkldnn_rnn_layer_weight")


class FusedDirection(nn.Module):
    """One LSTM in one direction, from zeros, as ``Recurrence`` learned it."""

    def __init__(self, learned: Recurrence, dtype: torch.dtype, *, reverse: bool) -> None:
        super().__init__()
        self.hidden_dim, self.reverse = learned.hidden_dim, reverse
        bias = learned.bias.detach().to(dtype)
        plain = (heeding_flags(learned.weight_input.detach()), learned.weight_hidden.detach())
        given = tuple(weight.to(dtype).contiguous() for weight in plain)
        packed = torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight.default(
            *given,
            self.hidden_dim,
            reverse,
            has_biases=True,
            batch_first=False,
            input_size=[1, _FEWEST, given[0].size(1)],
        )
        self.weights = (*packed, bias, torch.zeros_like(bias))

    def forward(self, inputs: Tensor, zeros: Tensor) -> tuple[Tensor, Tensor]:
        """Read ``inputs`` (T, B, I), flagged, from ``zeros`` (B, H).

        Returns outputs (T, B, H) and the last c (B, H).
        """
        outputs, _, memory, _ = _read_layer(
            inputs,
            *self.weights,
            zeros,
            zeros,
            self.reverse,
            batch_sizes=[],
            mode=_LSTM,
            hidden_size=self.hidden_dim,
            num_layers=1,
            has_biases=True,
            bidirectional=False,
            batch_first=False,
            train=False,
        )
        return outputs, memory.view_as(zeros)


@dataclass(frozen=True, slots=True)
class _Ends:
    """Where rows of some lengths end."""

    padding: Tensor | None  # (T, B), True beyond the end; none: there is no padding
    last: Tensor | None  # (B,), the last real step; none: of all rows it is the last there is
    empty: Tensor | None  # (B, 1), True for rows of no steps; none: there are none

    @classmethod
    def of(cls, lengths: Sequence[int], steps: int) -> "_Ends":
        """Look at rows of ``lengths`` that are held in ``steps``."""
        counts = np.array(lengths)
        if (counts == steps).all():
            return cls(None, None, None)
        padding = torch.from_numpy(np.arange(steps)[:, None] >= counts)
        empty = torch.from_numpy(counts[:, None] == 0) if not counts.all() else None
        return cls(padding, torch.from_numpy(np.maximum(counts - 1, 0)), empty)


class FusedLayer(nn.Module):
    """One or two LSTMs over the same inputs, their outputs side by side."""

    def __init__(self, learned: RecurrentLayer, dtype: torch.dtype) -> None:
        super().__init__()
        self.hidden_dim = learned.hidden_dim
        self.directions = nn.ModuleList(
            FusedDirection(one, dtype, reverse=reverse)
            for one, reverse in zip(learned.recurrences(), learned.reversals, strict=True)
        )

    def forward(self, inputs: Tensor, ends: _Ends) -> tuple[Tensor, State]:
        """Read ``inputs`` (T, B, I); return outputs (T, B, M), anything at padding, and h, c."""
        given = flagged(inputs, ends.padding)
        zeros = given.new_zeros(given.size(1), self.hidden_dim)
        read = [one(given, zeros) for one in self.directions]
        outputs = _side_by_side([outputs for outputs, _ in read])
        hidden = _side_by_side(
            [self._end(number, outputs, ends) for number, (outputs, _) in enumerate(read)]
        )
        memory = _side_by_side([memory for _, memory in read])
        return outputs, (hidden, memory)

    def _end(self, number: int, outputs: Tensor, ends: _Ends) -> Tensor:
        """Return h (B, H) at the end of one direction's ``outputs`` (T, B, H); 0 of nothing."""
        if cast(FusedDirection, self.directions[number]).reverse:
            return outputs[0]
        if ends.last is None:
            return outputs[-1]
        found = outputs[ends.last, torch.arange(len(ends.last))]
        return found if ends.empty is None else found.masked_fill(ends.empty, 0.0)


class FusedStack(nn.Module):
    """Layers of LSTMs on top of each other, as ``RecurrentStack`` learned them, for whole rows.

    What it returns for a row is the same to the last bit whatever rows stand beside it.
    """

    def __init__(self, learned: RecurrentStack, packing: Packing) -> None:
        super().__init__()
        self.output_dim, self.residual = learned.output_dim, learned.residual
        layers = learned.recurrent_layers()
        few = layers[0].recurrences()[0].weight_hidden.numel() < packing.small
        halves = packing.precision != "fp32" and not few and fast_bf16(torch.device("cpu"))
        self.dtype = torch.bfloat16 if halves else torch.float32
        self.layers = nn.ModuleList(FusedLayer(layer, self.dtype) for layer in layers)

    def forward(self, inputs: Tensor, *, lengths: Tensor) -> tuple[Tensor, State]:
        """Read ``inputs`` (B, T, I) from zeros; return outputs (B, T, M) and h, c (B, L, M).

        Rows end at ``lengths`` (B,) int64; outputs beyond are 0.
        """
        counts: list[int] = lengths.tolist()
        blocks = _of_like_length(counts)
        if len(blocks) == 1:
            return self._read(inputs, counts)
        outputs = inputs.new_zeros(*inputs.shape[:2], self.output_dim)
        size = (inputs.size(0), len(self.layers), self.output_dim)
        ends = (inputs.new_empty(size), inputs.new_empty(size))
        for block in blocks:
            rows, own = torch.tensor(block), [counts[row] for row in block]
            steps = max(own[0], 1)
            read, last = self._read(inputs[rows, :steps], own)
            outputs[rows, :steps] = read
            for end, part in zip(ends, last, strict=True):
                end[rows] = part
        return outputs, ends

    def _read(self, inputs: Tensor, lengths: Sequence[int]) -> tuple[Tensor, State]:
        """Read rows of about the same length."""
        rows, steps = inputs.shape[:2]
        walked = inputs.new_zeros(*_known(steps, rows), inputs.size(2), dtype=self.dtype)
        walked[:steps, :rows] = inputs.transpose(0, 1)
        added = walked.size(1) - rows
        ends, lasts = _Ends.of([*lengths, *([steps] * added)], walked.size(0)), []
        for layer in self.layers:
            outputs, last = cast(FusedLayer, layer)(walked, ends)
            lasts.append(last)
            adds = self.residual and outputs.size(-1) == walked.size(-1)
            walked = outputs + walked if adds else outputs
        found = inputs.new_empty(rows, steps, self.output_dim)
        found.copy_(walked[:steps, :rows].transpose(0, 1))
        if ends.padding is not None and min(lengths) < steps:
            found.masked_fill_(ends.padding[:steps, :rows].t().unsqueeze(-1), 0.0)
        states = (torch.stack(parts, dim=1) for parts in zip(*lasts, strict=True))
        return found, tuple(state[:rows].float() for state in states)


def _known(steps: int, rows: int) -> tuple[int, int]:
    """Return a size that is not new to oneDNN: see ``known_count``."""
    every = 4 if steps <= _SHORT else 8
    return steps + -steps % every, max(known_count(rows, 2), _FEWEST)


def _side_by_side(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=-1)


def _of_like_length(lengths: Sequence[int]) -> list[list[int]]:
    """Divide rows into blocks, the longest first, where that saves more padding than it costs."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    blocks: list[list[int]] = []
    for place, row in enumerate(order):
        if not blocks or (lengths[blocks[-1][0]] - lengths[row]) * (len(order) - place) > _BLOCK:
            blocks.append([])
        blocks[-1].append(row)
    return blocks if len(blocks) > 1 else [list(range(len(lengths)))]
