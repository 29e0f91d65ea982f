"""Decoders: the words so far and the source memory in, a feature vector for each next word out.

Sizes: B rows, T target steps, S source steps, E embedding, H hidden, M memory, L layers,
F features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.models.attention import Attention, Memory, attend, attend_covering
from core.models.dropout import LockedDropout
from core.models.encoders import Encoded
from core.models.precision import widened
from core.models.readout import Readout, together
from core.models.sources import padded_together
from core.models.stack import Draw, RecurrentStack


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """What chance decided for the sequences of a batch; it holds for all their steps."""

    recurrent: Draw
    outputs: Tensor | None  # (B, 1, H), scaled
    features: Tensor | None  # (B, 1, F), scaled

    def select(self, rows: Tensor) -> "Chance":
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        return Chance(
            recurrent=self.recurrent.select(rows),
            outputs=_select(self.outputs, rows),
            features=_select(self.features, rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderState:
    """Everything that decoding carries from step to step; what a decoder has no use for is None."""

    recurrent: tuple[Tensor, ...]  # each (B, L, H): h, and c for an LSTM
    memory: Memory | None
    context: Tensor | None  # (B, 1, M), the encoder's last state, for a peeky decoder
    fed: Tensor | None  # (B, 1, F), the features of the step before, for input feeding
    coverage: Tensor | None  # (B, S), the attention of all steps so far, added up
    chance: Chance | None  # only in training

    def after(
        self,
        recurrent: tuple[Tensor, ...] | None = None,
        fed: Tensor | None = None,
        coverage: Tensor | None = None,
    ) -> "DecoderState":
        """Return the state with what has changed; ``replace`` would take as long as a small sum."""
        return DecoderState(
            recurrent=self.recurrent if recurrent is None else recurrent,
            memory=self.memory,
            context=self.context,
            fed=self.fed if fed is None else fed,
            coverage=self.coverage if coverage is None else coverage,
            chance=self.chance,
        )

    def select(self, rows: Tensor) -> "DecoderState":
        """Keep ``rows`` (int64), in their order, repeats allowed; the memory may get shorter."""
        memory, coverage = self.memory, self.coverage
        if memory is not None:
            memory = memory.select(rows)
            if coverage is not None:
                coverage = coverage[:, : memory.sources.steps].index_select(0, rows)
        return DecoderState(
            recurrent=tuple(state.index_select(0, rows) for state in self.recurrent),
            memory=memory,
            context=_select(self.context, rows),
            fed=_select(self.fed, rows),
            coverage=coverage,
            chance=None if self.chance is None else self.chance.select(rows),
        )

    def join(self, others: Sequence["DecoderState"]) -> "DecoderState":
        """Put the rows of ``others`` behind these.

        ValueError in training, where what chance decided holds for one batch.
        """
        every = [self, *others]
        if any(one.chance is not None for one in every):
            raise ValueError("states of training are not joined")
        memory = self.memory
        coverage = _joined_rows([one.coverage for one in every])
        if memory is not None:
            memory = memory.join([one.memory for one in others if one.memory is not None])
            coverage = None if coverage is None else coverage[:, : memory.sources.steps]
        parts = zip(*(one.recurrent for one in every), strict=True)
        return DecoderState(
            recurrent=tuple(torch.cat(part) for part in parts),
            memory=memory,
            context=_joined_rows([one.context for one in every]),
            fed=_joined_rows([one.fed for one in every]),
            coverage=coverage,
            chance=None,
        )


class RecurrentDecoder(nn.Module):
    """Recurrent layers over the target, with attention after the cell, before it, or none.

    After (Luong et al. 2015, 3: h_t -> a_t -> c_t -> h~_t) the whole target runs through the
    layers in one call. With ``input_feeding`` (Luong et al. 2015, 3.3) a step hears h~ of the
    step before; with attention ``before`` the cell (Bahdanau et al. 2015, A.2.2) it hears what
    the last h attends to: both go step by step. A ``peeky`` decoder joins the encoder's last
    state to the input of every step and to what the output layer reads (Cho et al. 2014, 2.2).
    Without attention the features are the outputs themselves, projected only to another size.
    """

    def __init__(
        self,
        *,
        stack: RecurrentStack,
        combine: nn.Linear | None,
        attention: Attention | None = None,
        before: bool = False,
        input_feeding: bool = False,
        covers: bool = False,
        peeky: bool = False,
        dropout: nn.Module | None = None,
    ) -> None:
        """``combine`` reads [outputs, what is attended to, the peeky context], as many as exist.

        ``stack`` reads [embedded, the peeky context, what is fed].
        """
        super().__init__()
        self.stack = stack
        self.combine = combine
        self.attention = attention
        self.before = before
        self.input_feeding = input_feeding
        self.covers = covers
        self.peeky = peeky
        self.dropout = nn.Identity() if dropout is None else dropout

    @property
    def tells_attention(self) -> bool:
        """Whether its readouts say where it looked."""
        return self.attention is not None

    def start(self, encoded: Encoded, recurrent: tuple[Tensor, ...]) -> DecoderState:
        """Put together the first state; ``recurrent`` comes from a bridge."""
        values, mask = encoded.memory, encoded.mask
        memory, coverage, fed = None, None, None
        if self.attention is not None:
            memory = Memory.read(values, self.attention.keys(values), mask)
        if self.covers:
            coverage = widened(values.new_zeros(mask.shape))
        if self.input_feeding and self.combine is not None:
            fed = values.new_zeros(values.size(0), 1, self.combine.out_features)
        return DecoderState(
            recurrent=recurrent,
            memory=memory,
            context=encoded.final[0][:, -1:] if self.peeky else None,
            fed=fed,
            coverage=coverage,
            chance=self._draw(recurrent[0]),
        )

    def forward(self, embedded: Tensor, state: DecoderState) -> tuple[Readout, DecoderState]:
        """Run ``embedded`` (B, T, E) from ``state``.

        Returns what the output layer reads, for each next word, and the state after the last.
        """
        inputs = _joined(embedded, state.context)
        if self.before:
            return self._attend_first(inputs, state)
        if self.input_feeding:
            return self._feed(inputs, state)
        return self._read(*self._walk(inputs, state))

    def _attend_first(self, inputs: Tensor, state: DecoderState) -> tuple[Readout, DecoderState]:
        """Go through ``inputs`` (B, T, I), each joined by what the last h attends to."""
        readouts = []
        for now in torch.split(inputs, 1, dim=1):  # (B, 1, I)
            query = state.recurrent[0][:, -1:]  # (B, 1, H), of the top layer
            contexts, weights, state = self._attend(query, state)
            outputs, state = self._walk(_joined(now, contexts), state)
            readouts.append(Readout(_joined(outputs, contexts), weights))
        every = together(readouts)
        return Readout(self._features(every.features, state), every.attention), state

    def _feed(self, inputs: Tensor, state: DecoderState) -> tuple[Readout, DecoderState]:
        """Go through ``inputs`` (B, T, I), each joined by the features of the step before."""
        readouts = []
        for now in torch.split(inputs, 1, dim=1):  # (B, 1, I)
            readout, state = self._read(*self._walk(_joined(now, state.fed), state))
            state = state.after(fed=readout.features)
            readouts.append(readout)
        return together(readouts), state

    def _read(self, outputs: Tensor, state: DecoderState) -> tuple[Readout, DecoderState]:
        """Attend with ``outputs`` (B, T, H) and put together what the output layer reads."""
        contexts, weights, state = self._attend(outputs, state)
        return Readout(self._features(_joined(outputs, contexts), state), weights), state

    def _walk(self, inputs: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Run ``inputs`` (B, T, I) through the layers; outputs (B, T, H) are dropped out."""
        chance = state.chance
        draw = None if chance is None else chance.recurrent
        outputs, recurrent = self.stack(inputs, state.recurrent, draw=draw)
        outputs = self._dropped(outputs, None if chance is None else chance.outputs)
        return outputs, state.after(recurrent=recurrent)

    def _attend(
        self, queries: Tensor, state: DecoderState
    ) -> tuple[Tensor | None, Tensor | None, DecoderState]:
        """Return contexts (B, T, M), weights (B, T, S), and the state with its coverage."""
        if self.attention is None or state.memory is None:
            return None, None, state
        if state.coverage is None:
            return *attend(self.attention, queries, state.memory), state
        contexts, weights, coverage = attend_covering(
            self.attention, queries, state.memory, state.coverage
        )
        return contexts, weights, state.after(coverage=coverage)

    def _features(self, found: Tensor, state: DecoderState) -> Tensor:
        """Turn outputs and contexts (B, T, H + M) into what the output layer reads, (B, T, F)."""
        joined = _joined(found, state.context)
        if self.combine is None:
            return joined
        features: Tensor = self.combine(joined)
        if self.attention is None:
            return features
        chance = state.chance
        return self._dropped(torch.tanh(features), None if chance is None else chance.features)

    def _dropped(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        dropped: Tensor = self.dropout(inputs) if mask is None else inputs * mask
        return dropped

    def _draw(self, like: Tensor) -> Chance | None:
        """Decide what is dropped at all steps alike of as many rows as ``like`` (B, ...) has."""
        if not self.training:
            return None
        locked = self.dropout if isinstance(self.dropout, LockedDropout) else None
        sizes = (self.stack.output_dim, 0 if self.combine is None else self.combine.out_features)
        steps = (like.new_empty(like.size(0), 1, size) for size in sizes)
        outputs, features = (None if locked is None else locked.draw(step) for step in steps)
        return Chance(recurrent=self.stack.draw(like), outputs=outputs, features=features)


def _select(tensor: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if tensor is None else tensor.index_select(0, rows)


def _joined_rows(tensors: Sequence[Tensor | None]) -> Tensor | None:
    """Put (B, S or 1, ...) behind each other, zeros at the end of the shorter; None if none are."""
    real = [tensor for tensor in tensors if tensor is not None]
    return padded_together(real, 1, max(tensor.size(1) for tensor in real)) if real else None


def _joined(first: Tensor, *others: Tensor | None) -> Tensor:
    """Join ``first`` (B, T, ...) and what there is of ``others`` (B, T or 1, ...), step by step."""
    steps = first.size(1)
    real = [
        other if other.size(1) == steps else other.expand(-1, steps, -1)
        for other in others
        if other is not None
    ]
    return torch.cat([first, *real], dim=-1) if real else first
