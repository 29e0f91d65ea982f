"""Throwing away what nobody will read again."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from core.storage import checkpoints, snapshots
from core.storage.blobs import Blobs


def forget_ended_snapshots(sessions: sessionmaker[Session], blobs: Blobs) -> None:
    """Drop the training states of jobs that have ended, rows first, then blobs."""
    with sessions.begin() as session:
        keys = snapshots.drop_ended(session)
    forget_blobs(sessions, blobs, keys)


def forget_blobs(sessions: sessionmaker[Session], blobs: Blobs, keys: Iterable[str]) -> None:
    """Delete the blobs under ``keys`` that no checkpoint and no snapshot needs."""
    for key in keys:
        with sessions() as session:
            used = checkpoints.blob_in_use(session, key)
        if not used:
            blobs.delete(key)


def forget_orphans(sessions: sessionmaker[Session], blobs: Blobs, *, before: datetime) -> list[str]:
    """Delete blobs put before that moment that nothing refers to; returns their keys.

    Whoever was killed between a blob and its row left them. A writer has to be done with its row
    by then: what is put again counts as new.
    """
    with sessions() as session:
        orphans = [key for key in blobs.older(before) if not checkpoints.blob_in_use(session, key)]
    forget_blobs(sessions, blobs, orphans)
    return orphans
