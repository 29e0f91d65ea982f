"""What reads running text for a language model: without end, through a window, or all at once.

Sizes: B rows, T steps, S steps of a prompt, E embedding, F features, L layers, M outputs, W window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, cast

import torch
from torch import Tensor, nn

from core.models.pasts import less_skipped, place_right, skipped_rows
from core.models.stack import RecurrentLayer, RecurrentStack
from core.models.transformer_decoder import TransformerDecoder, TransformerState


class TextState(Protocol):
    """What has been read so far."""

    @property
    def carry(self) -> tuple[Tensor, ...]:
        """What the next stretch of the same text begins with, detached; () if it begins anew."""
        ...

    def select(self, rows: Tensor, /) -> "TextState":
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        ...

    def join(self, others: Sequence[Self], /) -> Self:
        """Put the rows of ``others`` behind these; none is what a ``resume`` of () returns."""
        ...


class TextReader(Protocol):
    """Whatever reads words and tells what the output layer is to see."""

    def resume(self, carry: tuple[Tensor, ...]) -> TextState:
        """Return the state after the stretch that left ``carry``; () if nothing came before."""
        ...

    def prompt(self, embedded: Tensor, mask: Tensor) -> TextState:
        """Read ``embedded`` (B, S, E) but for the last real word of each row.

        ``mask`` (B, S) is True at real words, which come first; each row has one at least.
        """
        ...

    def __call__(self, embedded: Tensor, state: TextState) -> tuple[Tensor, TextState]:
        """Read ``embedded`` (B, T, E); return features of as many last steps as are known."""
        ...


@dataclass(frozen=True, slots=True)
class RecurrentText:
    """The state of recurrent layers; none where a text begins in training."""

    hidden: tuple[Tensor, ...] = ()  # each (B, L, M): h, and c for an LSTM

    @property
    def carry(self) -> tuple[Tensor, ...]:
        """The state itself, detached: what truncated backpropagation takes along."""
        return tuple(part.detach() for part in self.hidden)

    def select(self, rows: Tensor) -> "RecurrentText":
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        return RecurrentText(tuple(part.index_select(0, rows) for part in self.hidden))

    def join(self, others: Sequence["RecurrentText"]) -> "RecurrentText":
        """Put the rows of ``others`` behind these."""
        parts = zip(self.hidden, *(other.hidden for other in others), strict=True)
        return RecurrentText(tuple(torch.cat(part) for part in parts))


class RecurrentReader(nn.Module):
    """Reads on and on in one direction, and carries its state from stretch to stretch."""

    def __init__(
        self, *, stack: RecurrentStack, dropout: nn.Module, narrow: nn.Linear | None = None
    ) -> None:
        """``narrow``: what fits outputs (M) to an output layer tied to embeddings (E)."""
        super().__init__()
        self.stack = stack
        self.narrow = narrow
        self.dropout = dropout

    def resume(self, carry: tuple[Tensor, ...]) -> RecurrentText:
        """Return the state that ``carry`` is."""
        return RecurrentText(carry)

    def prompt(self, embedded: Tensor, mask: Tensor) -> RecurrentText:
        """Read ``embedded`` (B, S, E) but for the last real word of each row."""
        if embedded.size(1) == 1:
            return RecurrentText(self.stack.start(embedded))
        _, hidden = self.stack(embedded[:, :-1], None, mask.sum(1) - 1)
        return RecurrentText(hidden)

    def forward(self, embedded: Tensor, state: RecurrentText) -> tuple[Tensor, RecurrentText]:
        """Read ``embedded`` (B, T, E); return features (B, T, F) and the state after."""
        outputs, hidden = self.stack(embedded, state.hidden or None)
        return _features(outputs, self.dropout, self.narrow), RecurrentText(hidden)


@dataclass(frozen=True, slots=True)
class WindowText:
    """The last words of each row, as embeddings; none where a text begins in training."""

    seen: Tensor | None = None  # (B, P, E), P up to the window
    skipped: Tensor | None = None  # (B,), how many of the first P are no words; none: they all are

    @property
    def carry(self) -> tuple[Tensor, ...]:
        """Nothing: every window is read by itself."""
        return ()

    def select(self, rows: Tensor) -> "WindowText":
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        if self.seen is None or self.skipped is None:
            return WindowText(None if self.seen is None else self.seen.index_select(0, rows))
        first, skipped = less_skipped(self.skipped.index_select(0, rows))
        return WindowText(self.seen[:, first:].index_select(0, rows), skipped)

    def join(self, others: Sequence["WindowText"]) -> "WindowText":
        """Put the rows of ``others`` behind these."""
        every = [(one.seen, one.skipped) for one in (self, *others) if one.seen is not None]
        sizes = [(words.size(0), words.size(1), skipped) for words, skipped in every]
        rows, longest = sum(rows for rows, *_ in sizes), max(length for _, length, _ in sizes)
        seen = every[0][0].new_empty(rows, longest, every[0][0].size(2))
        place_right([words for words, _ in every], seen, 1)
        return WindowText(seen, skipped_rows(sizes, seen.device))


class WindowReader(nn.Module):
    """Reads the last W words anew for each word to say, in one or both directions."""

    def __init__(
        self,
        *,
        stack: RecurrentStack,
        window: int,
        dropout: nn.Module,
        narrow: nn.Linear | None = None,
    ) -> None:
        """``narrow``: what fits outputs (M) to an output layer tied to embeddings (E)."""
        super().__init__()
        self.stack = stack
        self.window = window
        self.narrow = narrow
        self.dropout = dropout

    def resume(self, carry: tuple[Tensor, ...]) -> WindowText:
        """Return the state before the first word: nothing is carried into a window."""
        del carry
        return WindowText()

    def prompt(self, embedded: Tensor, mask: Tensor) -> WindowText:
        """Take the last words of ``embedded`` (B, S, E) but for the very last of each row."""
        seen, skipped = right_aligned(embedded, mask)
        return self._last_words(seen[:, :-1], skipped)

    def forward(self, embedded: Tensor, state: WindowText) -> tuple[Tensor, WindowText]:
        """Read ``embedded`` (B, T, E) after what was seen; return features (B, 1, F) of the last.

        They are the outputs of each direction where it has read the whole window.
        """
        joined = embedded if state.seen is None else torch.cat([state.seen, embedded], dim=1)
        after = self._last_words(joined, state.skipped)
        words = joined[:, -self.window :]
        lengths = None
        if after.skipped is not None:
            lengths = words.size(1) - after.skipped
            words = _left_aligned(words, after.skipped)
        outputs, _ = self.stack(words, None, lengths)  # (B, P, M)
        return _features(self._ends(outputs, lengths), self.dropout, self.narrow), after

    def _last_words(self, seen: Tensor, skipped: Tensor | None) -> WindowText:
        """Return ``seen`` (B, P, E), right-aligned, cut to the window."""
        beyond = max(seen.size(1) - self.window, 0)
        if skipped is not None:
            skipped = (skipped - beyond).clamp(min=0)
        return WindowText(seen[:, beyond:], skipped)

    def _ends(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (B, 1, M): forwards the last of ``outputs`` (B, P, M), backwards the first."""
        if lengths is None:
            last = outputs[:, -1:]
        else:
            last = outputs[torch.arange(len(lengths), device=lengths.device), lengths - 1][:, None]
        hidden_dim = cast(RecurrentLayer, self.stack.layers[-1]).hidden_dim
        return torch.cat([last[..., :hidden_dim], outputs[:, :1, hidden_dim:]], dim=-1)


class TransformerReader(nn.Module):
    """Looks back at all that was said; each stretch of a text begins anew."""

    def __init__(self, decoder: TransformerDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def resume(self, carry: tuple[Tensor, ...]) -> TransformerState:
        """Return the state before the first word: stretches know nothing of each other."""
        del carry
        return TransformerState()

    def prompt(self, embedded: Tensor, mask: Tensor) -> TransformerState:
        """Read ``embedded`` (B, S, E) but for the last real word of each row."""
        if embedded.size(1) == 1:
            return self.decoder.silence(embedded)
        words, skipped = right_aligned(embedded, mask)
        _, state = self.decoder(words[:, :-1], TransformerState(skipped=skipped))
        return cast(TransformerState, state)

    def forward(self, embedded: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        """Read ``embedded`` (B, T, E); return features (B, T, E) and the state after."""
        readout, after = self.decoder(embedded, state)
        return readout.features, after


def right_aligned(words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
    """Shift each row of ``words`` (B, S, E) so that its last real one stands last.

    Returns them with how many steps (B,) come before the first, or None if there are none.
    """
    skipped = words.size(1) - mask.sum(1)
    if not skipped.any():
        return words, None
    places = torch.arange(words.size(1), device=words.device) - skipped.unsqueeze(1)  # (B, S)
    return _taken(words, places.clamp_(min=0)), skipped


def _left_aligned(words: Tensor, skipped: Tensor) -> Tensor:
    """Shift each row of ``words`` (B, P, E) back by what it ``skipped`` (B,)."""
    places = torch.arange(words.size(1), device=words.device) + skipped.unsqueeze(1)
    return _taken(words, places.clamp_(max=words.size(1) - 1))


def _taken(words: Tensor, places: Tensor) -> Tensor:
    return words.gather(1, places.unsqueeze(-1).expand(-1, -1, words.size(2)))


def _features(outputs: Tensor, dropout: nn.Module, narrow: nn.Linear | None) -> Tensor:
    dropped: Tensor = dropout(outputs)
    return dropped if narrow is None else cast(Tensor, narrow(dropped))
