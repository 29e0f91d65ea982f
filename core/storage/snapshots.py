"""Where jobs can be taken up again: the newest training state of each."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.storage.attempts import held
from core.storage.tables import ENDED, Job, Snapshot


def put(
    session: Session,
    job_id: UUID,
    *,
    attempt: int,
    step: int,
    blob_key: str,
    bytes_: int,
    now: datetime,
) -> str | None:
    """Remember where the job can be taken up again.

    If that is further than before, the deaths so far are forgotten: a job that advances is not
    what kills its workers, and a long one outlives any number of crashes. One that dies at the same
    place each time stores nothing new, and is given up.
    Returns the key of the blob this one replaces, if it is another one. Raises LeaseLostError.
    """
    job = held(session, job_id, attempt)
    before = of_job(session, job_id)
    if step > (0 if before is None else before.step):
        job.deaths = 0
    replaced = None if before is None or before.blob_key == blob_key else before.blob_key
    session.merge(
        Snapshot(
            job_id=job_id,
            attempt=attempt,
            step=step,
            blob_key=blob_key,
            bytes=bytes_,
            created_at=now,
        )
    )
    session.flush()
    return replaced


def of_job(session: Session, job_id: UUID) -> Snapshot | None:
    """Return where the job can be taken up again, if anywhere."""
    return session.scalars(select(Snapshot).where(Snapshot.job_id == job_id)).one_or_none()


def drop_ended(session: Session) -> list[str]:
    """Forget the snapshots of jobs that have ended; returns the keys of their blobs."""
    over = select(Job.id).where(Job.status.in_(ENDED))
    query = delete(Snapshot).where(Snapshot.job_id.in_(over)).returning(Snapshot.blob_key)
    return list(session.scalars(query).all())
