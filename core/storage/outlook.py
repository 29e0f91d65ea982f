"""When jobs that wait are likely to start, and those that run to end, as far as that is known.

A running job tells its steps and seconds; one that waits may have been worked on before, or has a
limit. Each running job is taken to keep one worker busy, and a worker to take up what is next as
soon as it is free. Early stopping makes all of it come sooner, other workers too.
"""

import heapq
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.storage.tables import Job, JobStatus
from core.storage.turn import TURN

LOOK_AHEAD = 1000  # jobs in the queue that are looked at; what comes after is not foreseen
FARTHEST_S = 10 * 365 * 86_400.0
LIMIT_S = Job.spec["plan"]["train"]["time_limit_s"].as_float()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be expected of one job; None where nothing is known."""

    start: datetime | None = None
    end: datetime | None = None


NOTHING = Outlook()


def foresee(session: Session, *, now: datetime) -> dict[UUID, Outlook]:
    """Return what can be expected of each job that runs or waits."""
    seen, free_in = dict[UUID, Outlook](), list[float]()
    for job_id, left_s in _left(session, _of(JobStatus.RUNNING)):
        seen[job_id] = Outlook(end=_after(now, left_s))
        free_in.append(left_s)
    heapq.heapify(free_in)
    queue = _of(JobStatus.QUEUED).order_by(*TURN).limit(LOOK_AHEAD)
    for job_id, left_s in _left(session, queue):
        start_s = heapq.heappop(free_in) if free_in else math.inf
        heapq.heappush(free_in, start_s + left_s)
        seen[job_id] = Outlook(_after(now, start_s), _after(now, start_s + left_s))
    return seen


def left_s(progress: Mapping[str, Any], limit_s: float | None) -> float:
    """Return the seconds that a training will go on for; infinite where nothing is known.

    ``progress`` is what it told last; nothing is known of the report after the last step.
    """
    step, total = progress.get("step"), progress.get("total_steps")
    spent_s = float(progress.get("elapsed_s") or 0.0)
    left = math.inf if limit_s is None else max(limit_s - spent_s, 0.0)
    if step and total and spent_s:
        left = min(left, max(total - step, 0) * spent_s / step)
    return left or math.inf


def _of(status: JobStatus) -> Select[tuple[UUID, dict[str, Any] | None, float | None]]:
    return select(Job.id, Job.progress, LIMIT_S).where(Job.status == status)


def _left(
    session: Session, query: Select[tuple[UUID, dict[str, Any] | None, float | None]]
) -> Iterable[tuple[UUID, float]]:
    for job_id, progress, limit_s in session.execute(query):
        yield job_id, left_s(progress or {}, limit_s)


def _after(now: datetime, seconds: float) -> datetime | None:
    return now + timedelta(seconds=round(seconds)) if seconds < FARTHEST_S else None
