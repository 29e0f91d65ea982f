"""Lists with a cursor."""

from collections.abc import Sequence
from typing import Protocol, TypeVar
from uuid import UUID


class Identified(Protocol):
    """A row that a cursor can name."""

    id: UUID


RowT = TypeVar("RowT", bound=Identified)


def cut(rows: Sequence[RowT], *, limit: int) -> tuple[Sequence[RowT], str | None]:
    """Split ``limit + 1`` rows that were asked for into a page and its cursor.

    The row too many is only there to know whether another page follows.
    """
    page = rows[:limit]
    return page, str(page[-1].id) if len(rows) > limit else None
