"""Letting a job rest, and go on: at once if it waits, from its next snapshot if it runs."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from core.errors import ConflictError
from core.storage.attempts import held, release, tell_state, unended
from core.storage.tables import Job, JobStatus


def pause(session: Session, job_id: UUID, *, now: datetime) -> Job:
    """Let a waiting job rest at once, or ask the worker of a running one to put it aside.

    A resting one stays as it is. Raises NotFoundError, and ConflictError when the job has ended
    or is about to be cancelled.
    """
    job = unended(session, job_id)
    if job.cancel_requested:
        raise ConflictError("The job is about to be cancelled.")
    if job.status == JobStatus.RUNNING:
        job.pause_requested = True
        session.flush()
    elif job.status == JobStatus.QUEUED:
        job.status = JobStatus.PAUSED
        tell_state(session, job, now=now)
    return job


def resume(session: Session, job_id: UUID, *, now: datetime) -> Job:
    """Put a resting job into the queue again, or no longer ask a running one to rest.

    One that waits or runs stays as it is. Raises NotFoundError, and ConflictError when the job
    has ended.
    """
    job = unended(session, job_id)
    if job.status == JobStatus.PAUSED:
        job.status = JobStatus.QUEUED
        tell_state(session, job, now=now)
    elif job.pause_requested:
        job.pause_requested = False
        session.flush()
    return job


def put_aside(session: Session, job_id: UUID, *, attempt: int, now: datetime) -> None:
    """Let the job rest as it was asked to; one that was not, or no longer, is queued again.

    If cancel was asked, the job ends here. Raises LeaseLostError.
    """
    release(session, held(session, job_id, attempt), now=now)
