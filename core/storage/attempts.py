"""What every write to a job passes: the check of its attempt, and the event that tells of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import ConflictError, LeaseLostError, NotFoundError
from core.storage.session import locked
from core.storage.tables import ENDED, EventKind, Job, JobEvent, JobStatus


def held(session: Session, job_id: UUID, attempt: int) -> Job:
    """Return the job that ``attempt`` is working on, locked until the transaction ends.

    The lock also puts the events of a job in order: who has seen one misses none before it.
    Raises LeaseLostError when another attempt has begun or the job has ended.
    """
    job = session.scalars(locked(select(Job).where(Job.id == job_id))).one_or_none()
    if job is None or job.status != JobStatus.RUNNING or job.attempt != attempt:
        raise LeaseLostError(f"Attempt {attempt} no longer holds job {job_id}.")
    return job


def unended(session: Session, job_id: UUID) -> Job:
    """Return the job, locked until the transaction ends.

    Raises NotFoundError, and ConflictError when it has ended already.
    """
    job = session.scalars(locked(select(Job).where(Job.id == job_id))).one_or_none()
    if job is None:
        raise NotFoundError("job", job_id)
    if job.status in ENDED:
        raise ConflictError(f"The job has ended already: {job.status}.")
    return job


def end(
    session: Session, job: Job, status: JobStatus, *, now: datetime, error: str | None = None
) -> None:
    """Bring a locked job into an end state."""
    job.status, job.lease_until, job.ended_at = status, None, now
    job.pause_requested = False
    if error is None:
        tell_state(session, job, now=now)
        return
    job.error = storable(error)
    tell_state(session, job, now=now, error=job.error)


def release(session: Session, job: Job, *, now: datetime) -> None:
    """Let go of a locked job: it goes back into the queue, or rests or ends if that was asked."""
    if job.cancel_requested:
        end(session, job, JobStatus.CANCELLED, now=now)
        return
    job.status = JobStatus.PAUSED if job.pause_requested else JobStatus.QUEUED
    job.lease_until, job.worker, job.pause_requested = None, None, False
    tell_state(session, job, now=now)


def tell_state(session: Session, job: Job, *, now: datetime, **details: Any) -> None:
    """Write down the new state of a locked job, with what else belongs to it."""
    tell(session, job, EventKind.STATE, {"status": job.status.value, **details}, now=now)


def tell(
    session: Session,
    job: Job,
    kind: EventKind,
    data: dict[str, Any],
    *,
    now: datetime,
    step: int | None = None,
) -> None:
    """Write down an event of a locked job."""
    session.add(
        JobEvent(
            job_id=job.id, attempt=job.attempt, kind=kind, step=step, data=data, created_at=now
        )
    )
    session.flush()


def storable(text: str) -> str:
    """Return ``text`` without what PostgreSQL (NUL) or UTF-8 (lone surrogates) refuses.

    An error must be kept, whatever it quotes.
    """
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
