"""Sources that several lines ask about, held once each; lines of one source ask together.

A beam's hypotheses are lines of one source, and what they look at is the same: it is neither
copied for each of them nor moved when they change places.
Sizes: N lines, R sources held, K slots for the lines of a source, T queries of a line, S steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from weakref import WeakSet

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

NEVER = float("-inf")
COPYING = 12  # times as much as looking at it for one step: what is copied, to drop the rest
SPARE = 4  # for so many sources one place more is made where some join, for those who come next
SPARSE = 3  # slots for each line: more, and a copy for each line costs less than empty slots

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Origins:
    """Which source each line has, and where its queries stand among those of that source."""

    of: Tensor  # (N,) int64
    width: int  # K, the most lines of one source
    order: Tensor | None  # (R * K,), the line of each slot, any in an empty one; none: as they are
    places: Tensor | None  # (N,), the slot of each line

    @classmethod
    def among(cls, sources: int, numbers: Numbers, device: torch.device) -> "Origins | None":
        """Place lines that have the sources ``numbers`` (N,), of so many; None: each its own."""
        counts = np.bincount(numbers, minlength=sources)
        width, lines = int(counts.max()), np.arange(len(numbers))
        of = torch.from_numpy(numbers).to(device)
        if len(numbers) == sources * width and np.array_equal(numbers, lines // width):
            return None if width == 1 else cls(of, width, None, None)
        by_source = numbers.argsort(kind="stable")
        first = (counts.cumsum() - counts)[numbers[by_source]]
        places, order = np.empty_like(numbers), np.zeros(sources * width, dtype=np.int64)
        places[by_source] = numbers[by_source] * width + lines - first
        order[places] = lines
        return cls(of, width, *(torch.from_numpy(one).to(device) for one in (order, places)))

    def gather(self, lines: Tensor) -> Tensor:
        """Turn what lines ask, (N, T, ...), into what sources are asked, (R, K * T, ...)."""
        slots = lines if self.order is None else lines.index_select(0, self.order)
        return slots.reshape(-1, self.width * lines.size(1), *lines.shape[2:])

    def scatter(self, slots: Tensor) -> Tensor:
        """Turn answers (R, K * T, ...) into those of each line, (N, T, ...)."""
        lines = slots.reshape(slots.size(0) * self.width, -1, *slots.shape[2:])
        return lines if self.places is None else lines.index_select(0, self.places)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Sources:
    """What is held of each source. Rows of all parts begin with real steps; padding is behind.

    Places that no line asks about are for those who join, as long as nobody else holds the parts.
    """

    parts: tuple[Tensor, ...]  # each (R, S, ...)
    lengths: Tensor  # (R,), one at least
    bias: Tensor | None  # (R, 1, S), -inf at padding; none: nothing is padded
    origins: Origins | None = None  # none: each line has its own source, in order
    behind: "Sources | None" = None  # what this is a copy of for each line, where slots stay empty
    wasted: int = 0  # steps of sources that were looked at and not needed, since the last copy
    holders: "WeakSet[Sources]" = field(default_factory=WeakSet)  # of the same parts

    def __post_init__(self) -> None:
        self.holders.add(self)

    @classmethod
    def read(cls, parts: tuple[Tensor, ...], mask: Tensor) -> "Sources":
        """Hold ``parts`` for one line each; ``mask`` (R, S) is True at real steps."""
        padded = torch.is_grad_enabled() or not bool(mask.all())  # learning is not kept waiting
        return cls(parts, mask.sum(1), visible(mask) if padded else None)

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return self.lengths.size(0) if self.origins is None else self.origins.of.size(0)

    @property
    def steps(self) -> int:
        """How many steps are held of each source, padding included."""
        return self.parts[0].size(1)

    def gather(self, lines: Tensor) -> Tensor:
        """Turn what lines ask, (N, T, ...), into what sources are asked, (R, K * T, ...)."""
        return lines if self.origins is None else self.origins.gather(lines)

    def scatter(self, slots: Tensor) -> Tensor:
        """Turn answers (R, K * T, ...) into those of each line, (N, T, ...)."""
        return slots if self.origins is None else self.origins.scatter(slots)

    def select(self, rows: Tensor) -> "Sources":
        """Keep the lines ``rows`` (int64), in their order, repeats allowed.

        Nothing is copied while most of what is held is needed; steps may get fewer.
        """
        held = self if self.behind is None else self.behind
        if held.origins is None:
            origin, before = rows, torch.arange(held.lines, device=rows.device)
        else:
            origin, before = held.origins.of.index_select(0, rows), held.origins.of
        if torch.equal(origin, before):
            return self
        return held._placed(origin.cpu().numpy())

    def join(self, others: Sequence["Sources"]) -> "Sources":
        """Put the lines of ``others`` behind these."""
        first, *rest = [one if one.behind is None else one.behind for one in (self, *others)]
        numbers, count = first._numbers(), sum(one.lengths.size(0) for one in rest)
        free = np.setdiff1d(np.arange(first.lengths.size(0)), numbers)
        steps = max(one.steps for one in rest)
        if len(free) < count or steps > first.steps or len(first.holders) > 1:
            first, numbers = first._roomier(numbers, count, steps)
            free = np.arange(numbers.max() + 1, first.lengths.size(0))
        starts = np.cumsum([0, *(one.lengths.size(0) for one in rest)])
        joining = [free[one._numbers() + start] for one, start in zip(rest, starts, strict=False)]
        return first._taken(rest, free[:count])._placed(np.concatenate([numbers, *joining]))

    def _numbers(self) -> Numbers:
        """Return the source of each line."""
        if self.origins is None:
            return np.arange(self.lines)
        return self.origins.of.cpu().numpy()

    def _roomier(self, numbers: Numbers, count: int, steps: int) -> tuple["Sources", Numbers]:
        """Return a copy with room for ``count`` sources of ``steps`` more, and spare places.

        It holds what lines with the sources ``numbers`` need, and comes with its numbers.
        """
        needed, numbers = np.unique(numbers, return_inverse=True)
        kept = torch.from_numpy(needed).to(self.lengths.device)
        lengths = self.lengths.index_select(0, kept)
        steps = max(steps, int(lengths.max()))
        size = len(needed) + count
        size += size // SPARE
        parts = tuple(_wider(part, kept, size, steps) for part in self.parts)
        return _whole(parts, functional.pad(lengths, (0, size - len(needed)), value=1)), numbers

    def _taken(self, others: Sequence["Sources"], places: Numbers) -> "Sources":
        """Return these with ``others`` at ``places``, where nobody looks."""
        where = torch.from_numpy(places).to(self.lengths.device)
        for own, *parts in zip(self.parts, *(one.parts for one in others), strict=True):
            places_of = torch.split(where, [len(part) for part in parts])
            for at, part in zip(places_of, parts, strict=True):
                own[at, : part.size(1)] = part
                own[at, part.size(1) :] = 0
        lengths = self.lengths.index_copy(0, where, torch.cat([one.lengths for one in others]))
        return replace(_whole(self.parts, lengths), wasted=self.wasted, holders=self.holders)

    def _placed(self, numbers: Numbers) -> "Sources":
        """Return these sources, as few as are worth holding, for lines that have ``numbers``."""
        counts = np.bincount(numbers, minlength=self.lengths.size(0))
        needed = counts > 0  # (R,)
        longest = int(self.lengths.cpu().numpy()[needed].max())
        sources, worth = self, int(needed.sum()) * longest
        wasted = self.wasted + needed.size * self.steps - worth
        sparse = counts.max() * needed.size > SPARSE * len(numbers) and not needed.all()
        if sparse or wasted > COPYING * worth:
            wasted = 0
            kept = torch.from_numpy(needed.nonzero()[0]).to(self.lengths.device)
            sources = self._copied(kept, longest)
            numbers = (needed.cumsum() - 1)[numbers]
        device, held = self.lengths.device, sources.lengths.size(0)
        origins = Origins.among(held, numbers, device)
        placed = replace(sources, origins=origins, behind=None, wasted=wasted)
        if placed.origins is None or placed.origins.width * held <= SPARSE * len(numbers):
            return placed
        return replace(sources._copied(placed.origins.of, sources.steps), behind=placed)

    def _copied(self, rows: Tensor, steps: int) -> "Sources":
        """Return the sources ``rows``, each for a line of its own, and their first ``steps``."""
        parts = tuple(part[:, :steps].index_select(0, rows) for part in self.parts)
        return _whole(parts, self.lengths.index_select(0, rows))


def _wider(part: Tensor, rows: Tensor, size: int, steps: int) -> Tensor:
    """Return the ``rows`` of ``part`` (R, S, ...) at the start of ``size``, with so many steps.

    What follows them is 0: no number may be none, even where nobody looks.
    """
    wider = part.new_empty(size, steps, *part.shape[2:])
    kept = min(steps, part.size(1))
    torch.index_select(part[:, :kept], 0, rows, out=wider[: len(rows), :kept])
    wider[: len(rows), kept:] = 0
    wider[len(rows) :] = 0
    return wider


def visible(mask: Tensor) -> Tensor:
    """Turn ``mask`` (R, S), True where one may look, into a bias (R, 1, S)."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, NEVER)[:, None]


def padded_together(parts: Sequence[Tensor], dim: int, size: int) -> Tensor:
    """Put tensors behind each other, each as long as ``size`` in ``dim``: zeros follow."""
    if all(part.size(dim) == size for part in parts):
        return torch.cat(list(parts))
    shape = list(parts[0].shape)
    shape[0], shape[dim] = sum(part.size(0) for part in parts), size
    joined, start = parts[0].new_zeros(shape), 0
    for part in parts:
        joined[start : start + part.size(0)].narrow(dim, 0, part.size(dim)).copy_(part)
        start += part.size(0)
    return joined


def _whole(parts: tuple[Tensor, ...], lengths: Tensor) -> Sources:
    """Hold ``parts`` of so many real steps each, for one line each."""
    mask = torch.arange(parts[0].size(1), device=lengths.device) < lengths.unsqueeze(1)
    return Sources(parts, lengths, None if bool(mask.all()) else visible(mask))
