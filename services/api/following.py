"""Following a job: its events as they come, until it has ended."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any
from uuid import UUID

import anyio
from fastapi import Header
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import ServerSentEvent
from sqlalchemy.orm import Session, sessionmaker

from core.storage import jobs
from core.storage.tables import Job, JobEvent, JobStatus
from services.api.schemas.fields import LARGEST_ID
from services.api.schemas.jobs import EventBody

POLL_S = 0.5
PAGE = 500  # events fetched at once
RUNNING = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})

LastEventId = Annotated[
    int | None, Header(ge=0, le=LARGEST_ID, description="Set by a browser that reconnects.")
]


async def follow(
    sessions: sessionmaker[Session], job_id: UUID, *, after: int, stopping: Callable[[], bool]
) -> AsyncIterator[ServerSentEvent]:
    """Yield what happened after the event ``after``, then what happens, to the end of the job.

    The database is asked in a thread, every ``POLL_S`` seconds: rows are the truth, and a
    message about them could be lost. Ends early when the process is ``stopping``; FastAPI sends
    comments while nothing happens.
    """
    progress: dict[str, Any] | None = None
    while not stopping():
        job, found = await run_in_threadpool(_look, sessions, job_id, after)
        for event in found:
            after = event.id
            yield ServerSentEvent(
                data=EventBody.model_validate(event), event=event.kind.value, id=str(event.id)
            )
        if len(found) == PAGE:
            continue
        if job.progress is not None and job.progress != progress:
            progress = job.progress
            yield ServerSentEvent(data=progress, event="progress")
        if job.status not in RUNNING:
            return
        await anyio.sleep(POLL_S)


def _look(sessions: sessionmaker[Session], job_id: UUID, after: int) -> tuple[Job, list[JobEvent]]:
    with sessions() as session:
        # The job first: if it has ended by now, its last event is among those read next.
        job = jobs.get(session, job_id)
        return job, jobs.events(session, job_id, after=after, limit=PAGE)
