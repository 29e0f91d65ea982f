"""Throwing away what nobody will read again."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from sqlalchemy.orm import Session, sessionmaker

from core.storage import checkpoints, snapshots
from core.storage.blobs import Blobs

CHUNK = 500  # blobs asked about at once


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


def forget_unused_blobs(sessions: sessionmaker[Session], blobs: Blobs, *, before: datetime) -> int:
    """Delete the blobs written before that moment that no row needs; returns how many.

    A writer puts its blob and then its row: ``before`` leaves it far more time than that takes.
    """
    forgotten, rest = 0, blobs.older(before)
    while keys := list(islice(rest, CHUNK)):
        with sessions() as session:
            used = checkpoints.blobs_in_use(session, keys)
        for key in set(keys) - used:
            blobs.delete(key)
            forgotten += 1
    return forgotten
