"""Where jobs can be taken up again: the newest training states of each."""

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
    keep: int = 1,
) -> list[str]:
    """Remember where the job can be taken up again, and the ``keep`` newest such places in all.

    If that is further than before, the deaths so far are forgotten: a job that advances is not
    what kills its workers, and a long one outlives any number of crashes. One that dies at the same
    place each time stores nothing new, and is given up.
    Returns the keys of the blobs that are no longer needed for it. Raises LeaseLostError.
    """
    job = held(session, job_id, attempt)
    before = of_job(session, job_id)
    if step > (before[0].step if before else 0):
        job.deaths = 0
    earlier = [one for one in before if one.step < step]
    kept = earlier[: keep - 1]
    for one in before:  # those beyond this one could not be read, or it would not come after them
        if one not in kept:
            session.delete(one)
    session.flush()
    session.add(
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
    needed = {blob_key, *(one.blob_key for one in kept)}
    return [one.blob_key for one in before if one.blob_key not in needed]


def of_job(session: Session, job_id: UUID) -> list[Snapshot]:
    """Return where the job can be taken up again, if anywhere, the newest first."""
    query = select(Snapshot).where(Snapshot.job_id == job_id).order_by(Snapshot.step.desc())
    return list(session.scalars(query))


def drop_ended(session: Session) -> list[str]:
    """Forget the snapshots of jobs that have ended; returns the keys of their blobs."""
    over = select(Job.id).where(Job.status.in_(ENDED))
    query = delete(Snapshot).where(Snapshot.job_id.in_(over)).returning(Snapshot.blob_key)
    return list(session.scalars(query).all())
