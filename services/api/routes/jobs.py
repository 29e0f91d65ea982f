"""Queue trainings and questions, and watch them."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.orm import Session

from core import recipes
from core.errors import InputError
from core.specs import GenerateJob, Plan, TrainJob, lay_over, merge, parse
from core.storage import checkpoints, corpora, documents, jobs, outlook, pausing, pieces, turn
from core.storage.tables import Corpus, Job, JobKind, JobStatus
from services.api.deps import NowDep, ResourcesDep
from services.api.following import LastEventId, follow
from services.api.once import OnceDep
from services.api.paging import cut
from services.api.schemas.fields import AfterId, Before, Limit, Page
from services.api.schemas.jobs import (
    EventBody,
    EventPage,
    GenerateRequest,
    JobBody,
    JobDetail,
    JobRequest,
    TrainRequest,
)
from services.api.schemas.problems import problems

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

RINGS = 64  # for the pieces of a job, at most; the sweep rings for the rest


@router.post("", status_code=201, summary="Queue a job", responses=problems(404, 409, body=True))
def queue_job(
    body: JobRequest, response: Response, resources: ResourcesDep, once: OnceDep, now: NowDep
) -> JobDetail:
    """Queue a training of a corpus by a recipe, or by a whole plan; overrides go on top.

    Or have a model ask questions about documents. 404 unknown corpus, recipe, model or document.
    """
    with resources.sessions.begin() as session:
        if isinstance(body, GenerateRequest):
            job = _queue_questions(session, body, now)
        else:
            job = _queue_training(session, body, now)
        detail = _detail(session, job, now=now)
        location = f"{router.prefix}/{detail.id}"
        once.keep(session, detail, location=location)
        rings = max(1, min(pieces.open_pieces(session, detail.id), RINGS))
    for _ in range(rings):  # after the commit, or a worker could look too early
        resources.doorbell.ring_jobs()
    response.headers["Location"] = location
    return detail


@router.get("", summary="List the jobs", responses=problems(404))
def list_jobs(
    resources: ResourcesDep,
    now: NowDep,
    status: Annotated[JobStatus | None, Query(description="Only jobs that stand there.")] = None,
    before: Before = None,
    limit: Limit = 50,
) -> Page[JobBody]:
    """Jobs, newest first. 404 if the job that ``before`` names is gone."""
    with resources.sessions() as session:
        found = jobs.page(session, status=status, before=before, limit=limit + 1)
        page, following = cut(found, limit=limit)
        return Page[JobBody](data=_bodies(session, page, now=now), next=following)


@router.get("/{job_id}", summary="Show a job", responses=problems(404))
def show_job(job_id: UUID, resources: ResourcesDep, now: NowDep) -> JobDetail:
    """One job: how far it is, where it stands in the queue, and the checkpoint it left."""
    with resources.sessions() as session:
        return _detail(session, jobs.get(session, job_id), now=now)


@router.post("/{job_id}/cancel", summary="Cancel a job", responses=problems(404, 409))
def cancel_job(job_id: UUID, resources: ResourcesDep, now: NowDep) -> JobDetail:
    """End a job that waits or rests at once; ask the worker of a running one to stop.

    409 if it has ended.
    """
    with resources.sessions.begin() as session:
        return _detail(session, jobs.cancel(session, job_id, now=now), now=now)


@router.post("/{job_id}/pause", summary="Pause a job", responses=problems(404, 409))
def pause_job(job_id: UUID, resources: ResourcesDep, now: NowDep) -> JobDetail:
    """Let a waiting job rest at once; ask the worker of a running one to put it aside.

    A running one goes on from there when it is resumed. 409 if it has ended.
    """
    with resources.sessions.begin() as session:
        return _detail(session, pausing.pause(session, job_id, now=now), now=now)


@router.post("/{job_id}/resume", summary="Resume a job", responses=problems(404, 409))
def resume_job(job_id: UUID, resources: ResourcesDep, now: NowDep) -> JobDetail:
    """Put a paused job into the queue again, where it stood before. 409 if it has ended."""
    with resources.sessions.begin() as session:
        detail = _detail(session, pausing.resume(session, job_id, now=now), now=now)
    if detail.status == JobStatus.QUEUED:
        resources.doorbell.ring_jobs()
    return detail


@router.get("/{job_id}/events", summary="List the events of a job", responses=problems(404))
def list_events(
    job_id: UUID, resources: ResourcesDep, after: AfterId = 0, limit: Limit = 100
) -> EventPage:
    """What happened in a job, oldest first. Ask again with ``next`` to hear what is new."""
    with resources.sessions() as session:
        jobs.get(session, job_id)
        found = jobs.events(session, job_id, after=after, limit=limit)
    data = [EventBody.model_validate(event) for event in found]
    return EventPage(data=data, next=data[-1].id if data else after)


def _existing_job(job_id: UUID, resources: ResourcesDep) -> UUID:
    """Refuse an unknown job while the answer can still be a 404."""
    with resources.sessions() as session:
        return jobs.get(session, job_id).id


@router.get(
    "/{job_id}/stream",
    response_class=EventSourceResponse,
    summary="Follow a job",
    responses=problems(404),
)
async def stream_job(
    job_id: Annotated[UUID, Depends(_existing_job)],
    request: Request,
    resources: ResourcesDep,
    last_event_id: LastEventId = None,
    after: AfterId = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events named ``state``, ``log``, ``metrics`` and ``progress``.

    Each carries an event of the job as JSON, and its id, from which a client goes on after a
    cut (``Last-Event-ID``); ``progress`` carries how far the job is, and no id. The end
    state comes last.
    """
    events = follow(
        resources.sessions,
        job_id,
        after=after if last_event_id is None else last_event_id,
        stopping=request.app.state.stopping,
    )
    async for event in events:
        yield event


def _queue_training(session: Session, body: TrainRequest, now: datetime) -> Job:
    plan = _plan(body)
    corpus = corpora.find(session, body.corpus)
    _check_fit(body, plan, corpus)
    spec = TrainJob(recipe=body.recipe, plan=plan, promote_to=body.promote_to)
    return jobs.enqueue(
        session,
        kind=JobKind.TRAIN,
        corpus_id=corpus.id,
        spec=spec.model_dump(mode="json"),
        priority=body.priority,
        now=now,
    )


def _queue_questions(session: Session, body: GenerateRequest, now: datetime) -> Job:
    checkpoint = checkpoints.resolve(session, body.model)
    plan = parse(Plan, checkpoint.spec)
    if plan.task != "questions":
        words = f"{body.model!r} was trained to {plan.task}, and not to ask questions"
        raise InputError(words, field="model")
    lay_over(plan.decode, body.options.decode, within="options.decode")
    lengths = documents.lengths(session, body.documents)
    if not lengths:
        raise InputError("There are no documents to ask about.", field="documents")
    spec = GenerateJob(
        model=body.model,
        checkpoint=checkpoint.id,
        documents=len(lengths),
        options=body.options,
    )
    job = jobs.enqueue(
        session,
        kind=JobKind.GENERATE,
        spec=spec.model_dump(mode="json"),
        priority=body.priority,
        now=now,
    )
    pieces.cut(session, job.id, lengths)
    return job


def _plan(body: TrainRequest) -> Plan:
    # The model has seen to it that there is one or the other.
    plan = body.plan or recipes.find(body.recipe or "").plan
    return merge(plan, body.overrides, within="overrides") if body.overrides else plan


def _check_fit(body: TrainRequest, plan: Plan, corpus: Corpus) -> None:
    """Refuse now what would fail as soon as it starts."""
    kinds, asking = recipes.kinds_for(plan.task), f"the task {plan.task!r}"
    if body.recipe is not None and plan.task == recipes.find(body.recipe).plan.task:
        kinds, asking = recipes.find(body.recipe).corpus_kinds, f"the recipe {body.recipe!r}"
    if corpus.kind.value not in kinds:
        needed = " or ".join(kinds)
        words = f"{body.corpus!r} is a corpus of {corpus.kind.value}; {asking} needs {needed}"
        raise InputError(words, field="corpus")
    for split, count in (("training", corpus.train_count), ("validation", corpus.valid_count)):
        if count == 0:
            raise InputError(f"{body.corpus!r} has no {split} examples", field="corpus")


def _bodies(session: Session, found: Sequence[Job], *, now: datetime) -> list[JobBody]:
    """Write down jobs, with what is to be expected of them."""
    open_ = any(job.status in {JobStatus.QUEUED, JobStatus.RUNNING} for job in found)
    foreseen = outlook.foresee(session, now=now) if open_ else {}
    bodies = [JobBody.model_validate(job) for job in found]
    for body in bodies:
        expected = foreseen.get(body.id, outlook.NOTHING)
        body.expected_start_at, body.expected_end_at = expected.start, expected.end
    return bodies


def _detail(session: Session, job: Job, *, now: datetime) -> JobDetail:
    checkpoint = checkpoints.of_job(session, job.id)
    (body,) = _bodies(session, [job], now=now)
    more: dict[str, Any] = {
        "position": turn.position(session, job),
        "checkpoint_id": checkpoint.id if checkpoint else None,
    }
    return JobDetail(**body.model_dump(), **more)
