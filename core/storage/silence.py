"""Jobs that nobody seems to work on any more, though their lease still runs."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.storage.tables import Job, JobStatus
from core.storage.turn import TURN


def silent(session: Session, *, until: datetime) -> Job | None:
    """Return the most urgent running job whose lease ends before ``until``, if there is one.

    With ``until`` earlier than what a worker that is well would have renewed its lease to, it is
    one whose worker has missed that, and which others may take over soon.
    """
    query = select(Job).where(
        Job.status == JobStatus.RUNNING, Job.lease_until < until, ~Job.cancel_requested
    )
    return session.scalars(query.order_by(*TURN).limit(1)).one_or_none()
