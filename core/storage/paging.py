"""Lists that are read page by page, newest first."""

from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.orm import Session

from core.errors import NotFoundError
from core.storage.tables import Checkpoint, Conversation, Corpus, Document, Job

Row = TypeVar("Row", Corpus, Job, Checkpoint, Conversation, Document)


def newest_first(
    session: Session,
    table: type[Row],
    *where: ColumnElement[bool],
    before: UUID | None,
    limit: int,
) -> list[Row]:
    """Return up to ``limit`` rows of ``table`` older than the row ``before``, the last one seen.

    Rows added meanwhile shift nothing. Raises NotFoundError when the row ``before`` is gone.
    """
    query = select(table).where(*where).order_by(table.created_at.desc(), table.id.desc())
    if before is not None:
        last = session.scalars(select(table).where(table.id == before)).one_or_none()
        if last is None:
            raise NotFoundError(table.__name__.lower(), before)
        query = query.where(tuple_(table.created_at, table.id) < (last.created_at, last.id))
    return list(session.scalars(query.limit(limit)))
