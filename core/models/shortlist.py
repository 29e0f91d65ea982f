"""Which words the lines of a running batch may say: those that their sources call up.

What a line may say, and what it finds, depends on its own source alone. Sizes: N lines, R sources,
V vocabulary, F features, C words that any of the sources calls up.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from core.models.generators import Generator, Measure, highest
from core.models.integers import FEW
from core.models.lexicon import Ids
from core.models.precision import widened
from core.models.products import Product
from core.models.states import State

_LONG = 1 << 30  # steps: never
_NEVER = float("-inf")
_WORTH = 2  # as many words in all, at least, as are multiplied on their own
_GATHERING = 4  # products of a word are what it costs to put it beside those of one source
_PACKING = 48  # ... and beside those of several
_SPARE = 2  # of so many lists one at least is used


@dataclass(slots=True)
class _Columns:
    """The words that any of some sources calls up, and what multiplies by them alone."""

    ids: Tensor  # (C,)
    product: Product
    hidden: Tensor | None  # (R, C), True at what a source does not call up; none: there is one
    many: bool  # whether it is made for many rows
    barred: tuple[Tensor, Tensor] | None = None  # ids asked for last, and where they stand here

    def places(self, ids: Tensor) -> Tensor:
        """Return at which of the C those of ``ids`` stand that are among them."""
        if self.barred is None or self.barred[0] is not ids:
            self.barred = ids, torch.isin(self.ids, ids).nonzero().squeeze(1)
        return self.barred[1]


class Called:
    """What one source calls up."""

    def __init__(self, ids: Ids) -> None:
        """Take ``ids`` in their order."""
        self.ids = ids

    @cached_property
    def words(self) -> frozenset[int]:
        """The same, to ask whether a word is among them."""
        return frozenset(self.ids.tolist())


class Lists:
    """What each of some sources calls up. What is made of it is made when it is worth that."""

    def __init__(self, lists: Sequence[Called | None], vocabulary_size: int) -> None:
        """Take the list of each source; None: all words."""
        self.lists = tuple(lists)
        self.size = vocabulary_size
        self.open = self.lists == (None,)  # any line may say anything
        self._columns: _Columns | None = None
        self._steps = 0  # that were taken with all words

    def __len__(self) -> int:
        return len(self.lists)

    @cached_property
    def hidden(self) -> Tensor:
        """What a source does not call up: True in (R, V)."""
        hidden = np.ones((len(self.lists), self.size), dtype=bool)
        for source, called in enumerate(self.lists):
            hidden[source, slice(None) if called is None else called.ids] = False
        return torch.from_numpy(hidden)

    def columns(self, generator: Generator, rows: int) -> _Columns | None:
        """Return the words alone, or None where all are multiplied as quickly."""
        known, many = self._columns, len(self) > 1 or rows > FEW
        if known is not None and (known.many or not many):
            return known
        if known is None and not self._pays():
            return None
        ids = (~self.hidden.all(0)).nonzero().squeeze(1)
        if len(ids) * _WORTH > self.size:
            self._steps = -_LONG
            return None
        hidden = None if len(self) == 1 else self.hidden.index_select(1, ids)
        self._columns = _Columns(ids, generator.narrowed(ids, many=many), hidden, many)
        return self._columns

    def _pays(self) -> bool:
        """Whether so many steps were taken that putting the words together would have paid."""
        if None in self.lists:
            return False
        self._steps += 1
        sizes = [len(called.ids) for called in self.lists if called is not None]
        price = _GATHERING if len(sizes) == 1 else _PACKING
        return self._steps * (self.size - max(sizes)) >= price * sum(sizes)

    def only(self, kept: Sequence[int]) -> "Lists":
        """Return those of the sources ``kept``."""
        return Lists([self.lists[source] for source in kept], self.size)

    def beside(self, others: Sequence["Lists"]) -> "Lists":
        """Return these and those of ``others``."""
        return Lists([called for one in (self, *others) for called in one.lists], self.size)


@dataclass(frozen=True, slots=True)
class Shortlist:
    """What each line may say."""

    lists: Lists
    of: Tensor  # (N,), the source of each line

    @classmethod
    def each(cls, lists: Sequence[Ids], vocabulary_size: int) -> "Shortlist":
        """Give each of ``lists``, ids in their order, to a line of its own."""
        called = [Called(ids) for ids in lists]
        return cls(Lists(called, vocabulary_size), torch.arange(len(lists)))

    def logits(self, generator: Generator, features: Tensor) -> Tensor:
        """Return logits (N, V) of ``features`` (N, F), -inf at words that a line may not say."""
        columns = self.lists.columns(generator, len(features))
        if columns is None:
            return self._whole(generator, features)
        found = self._narrow(columns, features)
        whole = found.new_full((len(found), generator.vocabulary_size), _NEVER)
        return whole.index_copy_(1, columns.ids, found)

    def best(
        self, generator: Generator, features: Tensor, never: Tensor, measure: Measure | None
    ) -> tuple[Tensor, Tensor]:
        """Return value (N,) and id (N,) of the highest logit of each line, ``never`` left out.

        Of the value, what ``measure`` returns of the words that may be said is taken off.
        """
        if self.lists.open:
            return generator.best(features, never, measure)
        columns = self.lists.columns(generator, len(features))
        if columns is not None:
            found = self._narrow(columns, features)
            values, places = highest(found, columns.places(never), measure)
            return values, columns.ids[places]
        if measure is not None:
            return highest(self._whole(generator, features), never, measure)
        return self._corrected(generator, features, never)

    def _corrected(
        self, generator: Generator, features: Tensor, never: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Find the best of all words first: nearly always it is one that the source calls up."""
        logits = None if generator.screens else widened(generator(features))
        if logits is None:
            values, words = generator.best(features, never, None)
        else:
            values, words = highest(logits, never)
        for line, (source, word) in enumerate(zip(self.of.tolist(), words.tolist(), strict=True)):
            called = self.lists.lists[source]
            if called is None or word in called.words:
                continue
            if logits is None:
                row = widened(generator(features[line : line + 1])).index_fill_(1, never, _NEVER)
            else:
                row = logits[line : line + 1]
            own = row.numpy()[0, called.ids]
            values[line], words[line] = own.max().item(), int(called.ids[own.argmax()])
        return values, words

    def _whole(self, generator: Generator, features: Tensor) -> Tensor:
        """Return logits (N, V), made of those of all words."""
        whole = widened(generator(features))
        if self.lists.open:
            return whole
        return whole.masked_fill_(self.lists.hidden.index_select(0, self.of), _NEVER)

    def permitting(self, words: Sequence[Collection[int] | None]) -> "Shortlist":
        """Let lines, each with a source of its own, say ``words`` besides; None: all there are."""
        if all(more is None for more in words):
            return Shortlist(Lists([None], self.lists.size), torch.zeros_like(self.of))
        if all(more is not None and not more for more in words):
            return self
        lists = [
            None
            if own is None or more is None
            else Called(np.union1d(own.ids, np.fromiter(more, np.int64)))
            for own, more in zip(self.lists.lists, words, strict=True)
        ]
        return Shortlist(Lists(lists, self.lists.size), self.of)

    def select(self, rows: Tensor) -> "Shortlist":
        """Keep ``rows``, in their order, repeats allowed; lists that are not used may go."""
        of = self.of.index_select(0, rows)
        if len(self.lists) == 1:
            return Shortlist(self.lists, of)
        used, of_used = torch.unique(of, return_inverse=True)
        if len(used) * _SPARE > len(self.lists):
            return Shortlist(self.lists, of)
        return Shortlist(self.lists.only(used.tolist()), of_used)

    def join(self, others: Sequence["Shortlist"]) -> "Shortlist":
        """Put the lines of ``others`` behind these."""
        every = (self, *others)
        if all(one.lists.open for one in every):
            return Shortlist(self.lists, torch.cat([one.of for one in every]))
        starts = np.cumsum([0, *(len(one.lists) for one in every)]).tolist()
        of = torch.cat([one.of + start for one, start in zip(every, starts, strict=False)])
        return Shortlist(self.lists.beside([one.lists for one in others]), of)

    def _narrow(self, columns: _Columns, features: Tensor) -> Tensor:
        """Return logits (N, C)."""
        found = columns.product(features)
        if columns.hidden is not None:
            found = found.masked_fill_(columns.hidden.index_select(0, self.of), _NEVER)
        return found


@dataclass(frozen=True, slots=True)
class ListedState:
    """A decoder's state, and which words may come next."""

    decoder: State
    shortlist: Shortlist

    def select(self, rows: Tensor) -> "ListedState":
        """Keep ``rows`` (int64), in their order, repeats allowed."""
        return ListedState(self.decoder.select(rows), self.shortlist.select(rows))

    def join(self, others: Sequence["ListedState"]) -> "ListedState":
        """Put the rows of ``others`` behind these."""
        return ListedState(
            self.decoder.join([one.decoder for one in others]),
            self.shortlist.join([one.shortlist for one in others]),
        )
