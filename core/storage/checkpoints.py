"""Finished models: what they are, how good they were, and the key of their bundle."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, union
from sqlalchemy.orm import Session, sessionmaker

from core.errors import NotFoundError
from core.storage.blobs import Blobs
from core.storage.paging import newest_first
from core.storage.tables import Alias, Checkpoint, Snapshot


def add(  # noqa: PLR0913 (an argument for each column)
    session: Session,
    *,
    job_id: UUID | None,
    step: int,
    spec: dict[str, Any],
    metrics: dict[str, Any],
    report: dict[str, Any],
    blob_key: str,
    bytes_: int,
    now: datetime,
    id_: UUID | None = None,
) -> Checkpoint:
    """Keep a checkpoint whose bundle is already in the blob store."""
    checkpoint = Checkpoint(
        id=id_ or uuid4(),
        job_id=job_id,
        step=step,
        spec=spec,
        metrics=metrics,
        report=report,
        blob_key=blob_key,
        bytes=bytes_,
        created_at=now,
    )
    session.add(checkpoint)
    session.flush()
    return checkpoint


def get(session: Session, checkpoint_id: UUID) -> Checkpoint:
    """Return the checkpoint. Raises NotFoundError."""
    query = select(Checkpoint).where(Checkpoint.id == checkpoint_id)
    checkpoint = session.scalars(query).one_or_none()
    if checkpoint is None:
        raise NotFoundError("checkpoint", checkpoint_id)
    return checkpoint


def page(session: Session, *, before: UUID | None, limit: int) -> list[Checkpoint]:
    """List checkpoints, newest first; ``before`` is the last id of the page before."""
    return newest_first(session, Checkpoint, before=before, limit=limit)


def of_job(session: Session, job_id: UUID) -> Checkpoint | None:
    """Return the newest checkpoint that the job left, if any."""
    query = select(Checkpoint).where(Checkpoint.job_id == job_id)
    newest = query.order_by(Checkpoint.created_at.desc(), Checkpoint.id.desc()).limit(1)
    return session.scalars(newest).one_or_none()


def resolve(session: Session, ref: str) -> Checkpoint:
    """Return the checkpoint that people mean by ``ref``: an alias, or the id of a checkpoint.

    Raises NotFoundError.
    """
    query = select(Checkpoint).join(Alias).where(Alias.name == ref)
    checkpoint = session.scalars(query).one_or_none()
    if checkpoint is None:
        try:
            return get(session, UUID(ref))
        except (ValueError, NotFoundError):
            raise NotFoundError("model", ref) from None
    return checkpoint


def content(sessions: sessionmaker[Session], blobs: Blobs, name: str) -> bytes | Path:
    """Return the bundle of a checkpoint, or the file that has it. Raises NotFoundError."""
    with sessions() as session:
        key = resolve(session, name).blob_key
    return blobs.intact_path(key) or blobs.get(key)


def blob_in_use(session: Session, key: str) -> bool:
    """Return whether a checkpoint or a snapshot needs the blob."""
    return bool(blobs_in_use(session, [key]))


def blobs_in_use(session: Session, keys: Sequence[str]) -> set[str]:
    """Return those of ``keys`` whose blobs a checkpoint or a snapshot needs."""
    kept = (column for column in (Checkpoint.blob_key, Snapshot.blob_key))
    return set(session.scalars(union(*(select(one).where(one.in_(keys)) for one in kept))))
