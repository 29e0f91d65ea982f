"""Throwing away what nobody will read again."""

from collections.abc import Iterable

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
