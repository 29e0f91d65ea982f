"""Requests that a client may send again: each is worked on once, and its answer kept for a day.

The row of a key is there before the work begins, and is held while it goes on. The answer is kept
in the transaction that does the work, so that there is never one without the other.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.errors import InProgressError, InputError
from core.storage.session import locked
from core.storage.tables import IdempotencyKey

KEPT_FOR = timedelta(days=1)
HOLD = timedelta(seconds=15)  # a request whose process died is free again after this


def begin(
    session: Session, key: str, *, fingerprint: str, holder: UUID, now: datetime
) -> IdempotencyKey | None:
    """Hold ``key`` for the request ``holder``, or return what the same request was answered.

    Raises InputError when the key belongs to another request, and InProgressError while this
    one is still being worked on.
    """
    row = _locked(session, key)
    if row is None:
        row = IdempotencyKey(key=key)
    elif now - row.created_at < KEPT_FOR:
        if row.fingerprint != fingerprint:
            raise InputError(
                "Idempotency-Key: it was sent with another request before", field="Idempotency-Key"
            )
        if row.status is not None:
            return row
        if now <= row.held_until:
            raise _in_progress()
    row.fingerprint, row.holder = fingerprint, holder
    row.created_at, row.held_until = now, now + HOLD
    row.status = row.location = row.body = None
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:  # the same was sent twice at the same moment
        raise _in_progress() from error
    return None


def hold(session: Session, key: str, *, holder: UUID, now: datetime) -> None:
    """Say that the request is still being worked on. Raises InProgressError if by another."""
    _held(session, key, holder).held_until = now + HOLD
    session.flush()


def keep(
    session: Session, key: str, *, holder: UUID, status: int, location: str | None, body: str
) -> None:
    """Keep the answer of the request, together with what it did.

    Raises InProgressError when it was silent for so long that another one took it over.
    """
    row = _held(session, key, holder)
    row.status, row.location, row.body = status, location, body
    session.flush()


def let_go(session: Session, key: str, *, holder: UUID) -> None:
    """Free the key of a request that did nothing; a kept answer stays."""
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.key == key,
            IdempotencyKey.holder == holder,
            IdempotencyKey.status.is_(None),
        )
    )


def forget(session: Session, *, now: datetime) -> int:
    """Drop what is older than a day; returns how many keys that were."""
    query = delete(IdempotencyKey).where(IdempotencyKey.created_at <= now - KEPT_FOR)
    return len(session.scalars(query.returning(IdempotencyKey.key)).all())


def _held(session: Session, key: str, holder: UUID) -> IdempotencyKey:
    row = _locked(session, key)
    if row is None or row.holder != holder or row.status is not None:
        raise _in_progress()
    return row


def _locked(session: Session, key: str) -> IdempotencyKey | None:
    query = select(IdempotencyKey).where(IdempotencyKey.key == key)
    return session.scalars(locked(query)).one_or_none()


def _in_progress() -> InProgressError:
    return InProgressError("A request with this Idempotency-Key is still being worked on.")
