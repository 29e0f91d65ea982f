"""Queued work: who works on it, under which attempt, and what happened.

Whoever holds a job names its attempt in every write; once another attempt has begun, the write is
refused with LeaseLostError. Attempts are not limited; deaths are, and are counted apart, so that
leaving in good order is never held against a job. Nothing here commits.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.errors import NotFoundError
from core.storage.attempts import end, held, release, storable, tell, tell_state, unended
from core.storage.paging import newest_first
from core.storage.session import locked
from core.storage.tables import EventKind, Job, JobEvent, JobKind, JobStatus
from core.storage.turn import TURN


def enqueue(
    session: Session,
    *,
    kind: JobKind,
    corpus_id: UUID,
    spec: dict[str, Any],
    priority: int,
    now: datetime,
) -> Job:
    """Queue a job. Raises NotFoundError when the corpus is gone."""
    job = Job(kind=kind, corpus_id=corpus_id, spec=spec, priority=priority, created_at=now)
    session.add(job)
    try:
        session.flush()
    except IntegrityError as error:
        raise NotFoundError("corpus", corpus_id) from error
    tell_state(session, job, now=now)
    return job


def get(session: Session, job_id: UUID) -> Job:
    """Return the job. Raises NotFoundError."""
    job = session.scalars(select(Job).where(Job.id == job_id)).one_or_none()
    if job is None:
        raise NotFoundError("job", job_id)
    return job


def page(
    session: Session,
    *,
    status: JobStatus | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[Job]:
    """List jobs, newest first; ``before`` is the last id of the page before."""
    where = [] if status is None else [Job.status == status]
    return newest_first(session, Job, *where, before=before, limit=limit)


def claim_next(
    session: Session, *, worker: str, lease_s: float, max_deaths: int, now: datetime
) -> Job | None:
    """Take the next job that waits or whose lease ran out; None when there is none.

    A lease that ran out is a death. On the way, jobs at their last one, ``max_deaths`` of them
    without progress, are failed, cancelled ones ended and paused ones put aside: commit even after
    None.
    """
    _end_hopeless(session, max_deaths=max_deaths, now=now)
    free = or_(
        Job.status == JobStatus.QUEUED, and_(_lease_ran_out(now), Job.deaths + 1 < max_deaths)
    )
    wanted = (~Job.cancel_requested, ~Job.pause_requested)
    ran_out = case((Job.status == JobStatus.RUNNING, 1), else_=0)
    choice = select(Job.id).where(free, *wanted).order_by(*TURN).limit(1)
    job = session.scalars(
        update(Job)
        .where(Job.id == locked(choice, skip_locked=True).scalar_subquery())
        .values(
            status=JobStatus.RUNNING,
            attempt=Job.attempt + 1,
            deaths=Job.deaths + ran_out,
            expiries=Job.expiries + ran_out,
            lease_until=now + timedelta(seconds=lease_s),
            worker=worker,
            started_at=func.coalesce(Job.started_at, now),
        )
        .returning(Job)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if job is not None:
        tell_state(session, job, now=now, attempt=job.attempt, worker=worker)
    return job


def hold(
    session: Session,
    job_id: UUID,
    *,
    attempt: int,
    lease_s: float,
    now: datetime,
    progress: dict[str, Any] | None = None,
) -> Job:
    """Renew the lease and note ``progress`` if given; the job says whether it is to stop or rest.

    Raises LeaseLostError.
    """
    job = held(session, job_id, attempt)
    job.lease_until = now + timedelta(seconds=lease_s)
    if progress is not None:
        job.progress = progress
    session.flush()
    return job


def succeed(session: Session, job_id: UUID, *, attempt: int, now: datetime) -> None:
    """End the job well. Raises LeaseLostError."""
    end(session, held(session, job_id, attempt), JobStatus.SUCCEEDED, now=now)


def fail(session: Session, job_id: UUID, *, attempt: int, error: str, now: datetime) -> None:
    """End the job with the reason why it failed. Raises LeaseLostError."""
    end(session, held(session, job_id, attempt), JobStatus.FAILED, now=now, error=error)


def stop(session: Session, job_id: UUID, *, attempt: int, now: datetime) -> None:
    """End the job as cancelled. Raises LeaseLostError."""
    end(session, held(session, job_id, attempt), JobStatus.CANCELLED, now=now)


def give_back(session: Session, job_id: UUID, *, attempt: int, reason: str, now: datetime) -> None:
    """Let another worker go on with the job at once, because this one is leaving.

    If cancel or pause was asked, the job ends or rests instead. Raises LeaseLostError.
    """
    job = held(session, job_id, attempt)
    _warn(session, job, reason, now=now)
    release(session, job, now=now)


def report_death(
    session: Session,
    job_id: UUID,
    *,
    attempt: int,
    max_deaths: int,
    reason: str,
    now: datetime,
) -> None:
    """Let another worker go on with the job at once, because this one died.

    At the last of ``max_deaths`` without progress it is failed with ``reason`` instead, and if
    cancel or pause was asked it ends or rests. Raises LeaseLostError.
    """
    job = held(session, job_id, attempt)
    _warn(session, job, reason, now=now)
    job.deaths += 1
    if job.deaths >= max_deaths and not job.cancel_requested:
        _give_up(session, job, reason, now=now)
    else:
        release(session, job, now=now)


def cancel(session: Session, job_id: UUID, *, now: datetime) -> Job:
    """End a waiting or resting job at once, or ask the worker of a running one to stop.

    Raises NotFoundError, and ConflictError when the job has ended already.
    """
    job = unended(session, job_id)
    if job.status == JobStatus.RUNNING:
        job.cancel_requested = True
        session.flush()
    else:
        end(session, job, JobStatus.CANCELLED, now=now)
    return job


def waiting(session: Session, *, now: datetime) -> int:
    """Return how many jobs a worker could take, or would end, if it were woken now."""
    ready = or_(Job.status == JobStatus.QUEUED, _lease_ran_out(now))
    return session.scalars(select(func.count()).select_from(Job).where(ready)).one()


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What all jobs together come to."""

    by_status: dict[str, int]  # none left out
    retries: int  # attempts beyond the first of each
    expiries: int  # of leases


def totals(session: Session) -> Totals:
    """Return what all jobs together come to."""
    again = case((Job.attempt > 1, Job.attempt - 1), else_=0)
    sums = (func.count(), func.sum(again), func.sum(Job.expiries))
    found = session.execute(select(Job.status, *sums).group_by(Job.status)).all()
    return Totals(
        by_status={status.value: 0 for status in JobStatus}
        | {status.value: count for status, count, _, _ in found},
        retries=sum(int(one) for _, _, one, _ in found),
        expiries=sum(int(one) for _, _, _, one in found),
    )


def add_event(
    session: Session,
    job_id: UUID,
    *,
    attempt: int,
    kind: EventKind,
    data: dict[str, Any],
    now: datetime,
    step: int | None = None,
) -> None:
    """Tell the readers of the job something. Raises LeaseLostError."""
    tell(session, held(session, job_id, attempt), kind, data, now=now, step=step)


def events(session: Session, job_id: UUID, *, after: int = 0, limit: int) -> list[JobEvent]:
    """Return what happened, oldest first, from the event after id ``after`` on."""
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.id > after)
    return list(session.scalars(query.order_by(JobEvent.id).limit(limit)))


def has_measured(session: Session, job_id: UUID, *, step: int, data: dict[str, Any]) -> bool:
    """Return whether just these figures of a step have been told already."""
    query = select(JobEvent.data).where(JobEvent.job_id == job_id, JobEvent.step == step)
    return data in session.scalars(query.where(JobEvent.kind == EventKind.METRICS)).all()


def forget_metrics_after(session: Session, job_id: UUID, *, attempt: int, step: int) -> None:
    """Drop the figures beyond ``step``: a run resumed there tells them again.

    Raises LeaseLostError.
    """
    held(session, job_id, attempt)
    session.execute(
        delete(JobEvent)
        .where(JobEvent.job_id == job_id, JobEvent.kind == EventKind.METRICS)
        .where(JobEvent.step > step)
    )


def _lease_ran_out(now: datetime) -> ColumnElement[bool]:
    return and_(Job.status == JobStatus.RUNNING, Job.lease_until < now)


def _end_hopeless(session: Session, *, max_deaths: int, now: datetime) -> None:
    idle = or_(Job.status == JobStatus.QUEUED, _lease_ran_out(now))
    asked = and_(or_(Job.cancel_requested, Job.pause_requested), idle)
    dead = and_(_lease_ran_out(now), Job.deaths + 1 >= max_deaths)
    query = select(Job).where(or_(asked, dead)).order_by(*TURN)
    for job in session.scalars(locked(query, skip_locked=True)).all():
        job.expiries += job.status == JobStatus.RUNNING
        job.deaths += job.status == JobStatus.RUNNING and not job.cancel_requested
        if job.deaths >= max_deaths and not job.cancel_requested:
            _give_up(session, job, "its worker fell silent.", now=now)
        else:
            release(session, job, now=now)


def _give_up(session: Session, job: Job, reason: str, *, now: datetime) -> None:
    deaths = "a death" if job.deaths == 1 else f"{job.deaths} deaths"
    error = f"Given up after {deaths} without progress: {reason}"
    end(session, job, JobStatus.FAILED, now=now, error=error)


def _warn(session: Session, job: Job, reason: str, *, now: datetime) -> None:
    tell(session, job, EventKind.LOG, {"level": "warn", "message": storable(reason)}, now=now)
