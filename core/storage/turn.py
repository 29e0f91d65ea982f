"""Whose turn it is: the higher priority first, but nobody is overtaken for ever.

A step of priority is worth ``STEP_S`` seconds of waiting. A job is therefore overtaken only by
those queued less than ``STEP_S`` after it for each step that they stand above it. All jobs age
alike, so who goes before whom never changes while they wait.
"""

from sqlalchemy import and_, extract, func, or_, select
from sqlalchemy.orm import Session

from core.storage.tables import Job, JobStatus

STEP_S = 600  # seconds of waiting that outweigh one step of priority

# Seconds; SQLite gives whole ones, so that within one the moment itself decides.
RANK = extract("epoch", Job.created_at) - STEP_S * Job.priority
TURN = (RANK, Job.created_at, Job.id)


def position(session: Session, job: Job) -> int | None:
    """Return how many waiting jobs go before this one; None when it is not waiting."""
    if job.status != JobStatus.QUEUED:
        return None
    rank = select(RANK).where(Job.id == job.id).scalar_subquery()
    earlier = or_(
        Job.created_at < job.created_at, and_(Job.created_at == job.created_at, Job.id < job.id)
    )
    ahead = or_(rank > RANK, and_(rank == RANK, earlier))
    query = select(func.count()).select_from(Job).where(Job.status == JobStatus.QUEUED, ahead)
    return session.scalars(query).one()
