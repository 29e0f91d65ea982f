"""Documents: each text once, whatever files it came in."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, undefer

from core.errors import ConflictError, NotFoundError
from core.storage.paging import newest_first
from core.storage.session import locked
from core.storage.tables import Document, GeneratedPair

CHUNK = 500  # asked for in one go


def add(
    session: Session,
    *,
    title: str,
    text: str,
    language: str | None,
    name: str | None,
    format: str,  # noqa: A002 (a column, as it is called everywhere)
    bytes_: int,
    now: datetime,
) -> tuple[Document, bool]:
    """Return the document with this text, and whether it is new.

    One that is there already stays as it is, title and all.
    """
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    known = _by_sha256(session, sha256)
    if known is not None:
        return known, False
    document = Document(
        title=title,
        text=text,
        language=language,
        sha256=sha256,
        name=name,
        format=format,
        bytes=bytes_,
        length=len(text),
        created_at=now,
    )
    try:
        with session.begin_nested():
            session.add(document)
    except IntegrityError:  # somebody else added it in between
        known = _by_sha256(session, sha256)
        if known is None:
            raise
        return known, False
    session.expire(document, ["text"])
    return document, True


def get(session: Session, document_id: UUID, *, with_text: bool = False) -> Document:
    """Return the document, with its text only if asked. Raises NotFoundError."""
    query = select(Document).where(Document.id == document_id)
    if with_text:
        query = query.options(undefer(Document.text))
    document = session.scalars(query).one_or_none()
    if document is None:
        raise NotFoundError("document", document_id)
    return document


def texts(session: Session, ids: Collection[UUID], *, held: bool = False) -> dict[UUID, str]:
    """Return the texts of documents; those that are ``held`` stay until the transaction ends.

    Raises NotFoundError naming the first that is not there.
    """
    found = known_texts(session, ids, held=held)
    for document_id in ids:
        if document_id not in found:
            raise NotFoundError("document", document_id)
    return found


def known_texts(session: Session, ids: Collection[UUID], *, held: bool = False) -> dict[UUID, str]:
    """Return the texts of those documents that are there, as ``texts`` does."""
    query = select(Document.id, Document.text).where(Document.id.in_(ids))
    return dict(session.execute(locked(query) if held else query).all())


def hold(session: Session, ids: Collection[UUID]) -> set[UUID]:
    """Return which documents are there; they stay until the transaction ends."""
    return set(session.scalars(locked(select(Document.id).where(Document.id.in_(ids)))))


def lengths(session: Session, ids: Sequence[UUID] | None) -> list[tuple[UUID, int]]:
    """Return documents with their lengths in characters, each once and in their order.

    All there are, oldest first, without ``ids``. Raises NotFoundError naming the first that is
    not there.
    """
    query = select(Document.id, Document.length).order_by(Document.created_at, Document.id)
    if ids is None:
        return [(document_id, length) for document_id, length in session.execute(query)]
    found: dict[UUID, int] = {}
    wanted = list(dict.fromkeys(ids))
    for first in range(0, len(wanted), CHUNK):
        some = query.where(Document.id.in_(wanted[first : first + CHUNK]))
        found |= dict(session.execute(some).all())
    for document_id in wanted:
        if document_id not in found:
            raise NotFoundError("document", document_id)
    return [(document_id, found[document_id]) for document_id in wanted]


def page(session: Session, *, before: UUID | None, limit: int) -> list[Document]:
    """List documents, newest first; ``before`` is the last id of the page before."""
    return newest_first(session, Document, before=before, limit=limit)


def delete(session: Session, document_id: UUID, *, with_pairs: bool = False) -> int:
    """Delete the document, and its pairs if asked; return how many pairs went with it.

    Raises NotFoundError, and ConflictError where it has pairs and they are to stay.
    """
    query = locked(select(Document.id).where(Document.id == document_id), exclusive=True)
    if session.scalars(query).one_or_none() is None:
        raise NotFoundError("document", document_id)
    of_it = GeneratedPair.document_id == document_id
    count = session.scalars(select(func.count()).select_from(GeneratedPair).where(of_it)).one()
    if count and not with_pairs:
        raise ConflictError(f"The document has {count} pairs; ask for them to be deleted with it.")
    session.execute(sql_delete(GeneratedPair).where(of_it))
    session.execute(sql_delete(Document).where(Document.id == document_id))
    return count


def _by_sha256(session: Session, sha256: str) -> Document | None:
    return session.scalars(select(Document).where(Document.sha256 == sha256)).one_or_none()
