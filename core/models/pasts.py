"""What was written before, row by row, so that every row ends at the same place.

Sizes: B rows, P positions, C positions there is room for, N heads, D width of all heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ROOM = 16  # positions, at least, that are made room for ahead
NEXT = 1  # position that is made room for where rows are moved: they may be at every step


@dataclass(slots=True)
class Room:
    """Memory that is written to from left to right, by one state after the other."""

    held: Tensor  # (B, 2 * N, C, D / N)
    written: int  # positions: a state that ends there may go on; another must move out


@dataclass(frozen=True, slots=True)
class Past:
    """The keys and values of one layer. What a state has seen does not change under it."""

    seen: Tensor  # (B, 2 * N, P, D / N), keys of all heads, then values
    room: Room | None = None  # where they stand, if there is room for more

    @property
    def length(self) -> int:
        """How many positions there are."""
        return self.seen.size(2)

    def then(self, after: Tensor) -> "Past":
        """Put positions ``after`` (B, 2 * N, T, D / N) behind these."""
        if torch.is_grad_enabled():  # what has been read must stay for the way back
            return Past(torch.cat([self.seen, after], dim=2))
        length, room = self.length + after.size(2), self.room
        if room is None or not _may_write(room, self.length, length):
            room = _room(self.seen, self.seen.size(0), length, max(ROOM, length // 2))
            room.held[:, :, : self.length] = self.seen
        room.held[:, :, self.length : length] = after
        room.written = length
        return Past(room.held[:, :, :length], room)

    def select(self, rows: Tensor, first: int = 0) -> "Past":
        """Keep ``rows`` (int64), repeats allowed, and their positions from the ``first`` on."""
        if torch.is_grad_enabled():
            return Past(self.seen[:, :, first:].index_select(0, rows))
        room = _room(self.seen, rows.size(0), self.length - first, NEXT)
        seen = room.held[:, :, : room.written]
        torch.index_select(self.seen[:, :, first:], 0, rows, out=seen)
        return Past(seen, room)

    def join(self, others: Sequence["Past"]) -> "Past":
        """Put the rows of ``others`` behind these; all end at the same place."""
        every = [self.seen, *(other.seen for other in others)]
        length = max(seen.size(2) for seen in every)
        room = _room(self.seen, sum(seen.size(0) for seen in every), length, NEXT)
        joined = room.held[:, :, :length]
        place_right(every, joined, 2)
        return Past(joined, room)


def _room(like: Tensor, rows: int, length: int, spare: int) -> Room:
    """Make room for ``length`` positions, and for others to come after them."""
    _, heads, _, dim = like.shape
    return Room(like.new_empty(rows, heads, length + spare, dim), length)


def _may_write(room: Room, before: int, after: int) -> bool:
    """Whether what stands ``before`` may be written behind, in ``room``."""
    mine = room.written == before and after <= room.held.size(2)
    return mine and (torch.is_inference_mode_enabled() or not room.held.is_inference())


def place_right(parts: Sequence[Tensor], joined: Tensor, dim: int) -> None:
    """Write the rows of ``parts`` behind each other, each up to the last place of ``dim``.

    Zeros come before.
    """
    own = torch.split(joined, [part.size(0) for part in parts])
    for part, rows in zip(parts, own, strict=True):
        gap = rows.size(dim) - part.size(dim)
        rows.narrow(dim, 0, gap).zero_()
        rows.narrow(dim, gap, part.size(dim)).copy_(part)


def skipped_rows(
    every: Sequence[tuple[int, int, Tensor | None]], device: torch.device
) -> Tensor | None:
    """Return how many places (B,) of all rows are padding, of parts that are aligned to the right.

    Each part tells its rows, its positions and, (rows,), how many of these are padding already.
    """
    size = max(length for _, length, _ in every)
    if all(length == size and skipped is None for _, length, skipped in every):
        return None
    gaps = [
        torch.full((rows,), size - length, device=device)
        if skipped is None
        else skipped + (size - length)
        for rows, length, skipped in every
    ]
    return torch.cat(gaps)


def less_skipped(skipped: Tensor | None) -> tuple[int, Tensor | None]:
    """Return how many places all rows skip, and what each (B,) skips beyond them; None: nothing."""
    if skipped is None:
        return 0, None
    least, most = (int(one) for one in skipped.aminmax())
    return least, None if least == most else skipped - least
