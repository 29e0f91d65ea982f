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
from core.storage.tables import EventKind, Job, JobEvent, JobStatus
from services.api.schemas.fields import LARGEST_ID
from services.api.schemas.jobs import EventBody

POLL_S = 0.5
PAGE = 500  # events fetched at once
OPEN = frozenset({JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.PAUSED})

LastEventId = Annotated[
    int | None, Header(ge=0, le=LARGEST_ID, description="Set by a browser that reconnects.")
]


async def follow(
    sessions: sessionmaker[Session], job_id: UUID, *, after: int, stopping: Callable[[], bool]
) -> AsyncIterator[ServerSentEvent]:
    """Yield what happened after the event ``after``, then what happens, to the end of the job.

    The database is asked in a thread, every ``POLL_S`` seconds: rows are the truth, and a
    message about them could be lost. Progress is told before the end, never after it. Ends early
    when the process is ``stopping``; FastAPI sends comments while nothing happens.
    """
    told: dict[str, Any] | None = None
    while not stopping():
        job, found = await run_in_threadpool(_look, sessions, job_id, after)
        ended = bool(found) and _is_end(found[-1])
        for event in found[:-1] if ended else found:
            after = event.id
            yield _sent(event)
        if len(found) == PAGE and not ended:
            continue
        if (ended or job.status in OPEN) and _is_news(job.progress, told):
            told = job.progress
            yield ServerSentEvent(data=told, event="progress")
        if ended:
            yield _sent(found[-1])
        if ended or job.status not in OPEN:
            return
        await anyio.sleep(POLL_S)


def _sent(event: JobEvent) -> ServerSentEvent:
    return ServerSentEvent(
        data=EventBody.model_validate(event), event=event.kind.value, id=str(event.id)
    )


def _is_end(event: JobEvent) -> bool:
    return event.kind is EventKind.STATE and event.data["status"] not in OPEN


def _is_news(progress: dict[str, Any] | None, told: dict[str, Any] | None) -> bool:
    """Say whether ``progress`` differs from ``told`` and names a stage: before one, it is empty."""
    return progress is not None and "stage" in progress and progress != told


def _look(sessions: sessionmaker[Session], job_id: UUID, after: int) -> tuple[Job, list[JobEvent]]:
    with sessions() as session:
        # The job first: if it has ended by now, its last event is among those read next.
        job = jobs.get(session, job_id)
        return job, jobs.events(session, job_id, after=after, limit=PAGE)
