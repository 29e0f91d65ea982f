"""LSTMs that only read whole rows, in the one call that oneDNN has for a layer.

A walk step by step spends more on its small operations than on its products: beside that, a source
of 12 steps takes a tenth of the time here, in bf16, and 64 of 40 steps half (a Xeon with AMX).
Sizes: B rows, T steps, I inputs, H hidden of one direction, M = H * directions, L layers.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from core.models.cells import State
from core.models.fused import flagged, heeding_flags
from core.models.precision import fast_bf16
from core.models.products import Packing, packs
from core.models.recurrence import Recurrence
from core.models.rows import silenced
from core.models.stack import RecurrentLayer, RecurrentStack

_FEWEST = 2  # rows: a single one would be summed in another order, and not be what it is in company
_BLOCK = 256  # steps of padding that cost as much as reading a block of rows apart
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
        self.biases = (bias, torch.zeros_like(bias))
        plain = (heeding_flags(learned.weight_input.detach()), learned.weight_hidden.detach())
        given = tuple(weight.to(dtype).contiguous() for weight in plain)
        self.weights = tuple(
            torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight.default(
                *given,
                self.hidden_dim,
                reverse,
                has_biases=True,
                batch_first=False,
                input_size=[1, _FEWEST, given[0].size(1)],
            )
        )

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Read ``inputs`` (T, B, I), flagged; return outputs (T, B, H) and the last c (B, H)."""
        zeros = inputs.new_zeros(inputs.size(1), self.hidden_dim)
        outputs, _, memory, _ = _read_layer(
            inputs,
            *self.weights,
            *self.biases,
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


class FusedLayer(nn.Module):
    """One or two LSTMs over the same inputs, their outputs side by side."""

    def __init__(self, learned: RecurrentLayer, packing: Packing) -> None:
        super().__init__()
        recurrences = learned.recurrences()
        self.reversals = learned.reversals
        few = recurrences[0].weight_hidden.numel() < packing.small
        halves = packing.precision != "fp32" and not few and fast_bf16(torch.device("cpu"))
        self.dtype = torch.bfloat16 if halves else torch.float32
        self.directions = nn.ModuleList(
            FusedDirection(one, self.dtype, reverse=reverse)
            for one, reverse in zip(recurrences, self.reversals, strict=True)
        )

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Read ``inputs`` (B, T, I), zeros at padding; return outputs (B, T, M) and h, c (B, M)."""
        rows = inputs.size(0)
        given = flagged(inputs.to(self.dtype), lengths).transpose(0, 1)
        if rows < _FEWEST:
            given = given.expand(-1, _FEWEST, -1)
        read = [one(given.contiguous()) for one in self.directions]
        outputs = torch.cat([one[:, :rows] for one, _ in read], dim=-1).transpose(0, 1)
        outputs = outputs.to(torch.float32, memory_format=torch.contiguous_format)
        memory = torch.cat([one[:rows] for _, one in read], dim=-1).float()
        return silenced(outputs, lengths), (self._ends(outputs, lengths), memory)

    def _ends(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Return each direction's h (B, M) at its end of ``outputs`` (B, T, M); 0 of nothing."""
        last = (lengths - 1).clamp(min=0)
        every = torch.arange(outputs.size(0), device=outputs.device)
        sides = outputs.view(*outputs.shape[:2], len(self.reversals), -1).unbind(2)
        ends = [
            side[:, 0] if reverse else side[every, last]
            for side, reverse in zip(sides, self.reversals, strict=True)
        ]
        return torch.cat(ends, dim=-1).masked_fill((lengths == 0).unsqueeze(1), 0.0)


class FusedStack(nn.Module):
    """Layers of LSTMs on top of each other, as ``RecurrentStack`` learned them, for whole rows.

    What it returns for a row is the same to the last bit whatever rows stand beside it.
    """

    def __init__(self, learned: RecurrentStack, packing: Packing) -> None:
        super().__init__()
        self.output_dim, self.residual = learned.output_dim, learned.residual
        self.layers = nn.ModuleList(
            FusedLayer(layer, packing) for layer in learned.recurrent_layers()
        )

    def forward(self, inputs: Tensor, *, lengths: Tensor) -> tuple[Tensor, State]:
        """Read ``inputs`` (B, T, I) from zeros; return outputs (B, T, M) and h, c (B, L, M).

        Rows end at ``lengths`` (B,) int64; outputs beyond are 0.
        """
        blocks = _of_like_length(lengths.tolist())
        if len(blocks) == 1:
            return self._read(inputs, lengths)
        outputs = inputs.new_zeros(*inputs.shape[:2], self.output_dim)
        size = (inputs.size(0), len(self.layers), self.output_dim)
        ends = (inputs.new_empty(size), inputs.new_empty(size))
        for block in blocks:
            rows = torch.tensor(block, device=inputs.device)
            own = lengths[rows]
            steps = max(int(own[0]), 1)
            read, last = self._read(inputs[rows, :steps], own)
            outputs[rows, :steps] = read
            for end, part in zip(ends, last, strict=True):
                end[rows] = part
        return outputs, ends

    def _read(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Read rows of about the same length."""
        inputs = silenced(inputs, lengths)
        lasts: list[State] = []
        for layer in self.layers:
            outputs, last = cast(FusedLayer, layer)(inputs, lengths)
            lasts.append(last)
            if self.residual and outputs.size(-1) == inputs.size(-1):
                outputs = outputs + inputs
            inputs = outputs
        return inputs, tuple(torch.stack(parts, dim=1) for parts in zip(*lasts, strict=True))


def _of_like_length(lengths: Sequence[int]) -> list[list[int]]:
    """Divide rows into blocks, the longest first, where that saves more padding than it costs."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    blocks: list[list[int]] = []
    for place, row in enumerate(order):
        if not blocks or (lengths[blocks[-1][0]] - lengths[row]) * (len(order) - place) > _BLOCK:
            blocks.append([])
        blocks[-1].append(row)
    return blocks
