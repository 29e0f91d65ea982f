"""For those who run this: is it up, is it ready, and what are the figures."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Response
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from core.queue.messages import INBOX, INFERENCE_QUEUE, JOBS_QUEUE, RETRIES, alive_key
from core.storage import jobs
from core.storage.tables import JobStatus
from services.api.deps import FiguresDep, NowDep, ResourcesDep
from services.api.resources import Resources
from services.api.schemas.health import Check, HealthBody, ReadyBody
from services.api.schemas.problems import problems

log = structlog.get_logger()

router = APIRouter(tags=["health"])

BROKER_WAIT_S = 2.0
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/health", summary="Is this process up", responses=problems())
async def health() -> HealthBody:
    """Answer, and touch nothing."""
    return HealthBody()


def _database_checks(resources: ResourcesDep, now: NowDep) -> dict[str, Check]:
    """Ask the database; also whether a worker is busy with a job, which it then cannot say."""
    try:
        with resources.sessions() as session:
            running = jobs.page(session, status=JobStatus.RUNNING, limit=200)
    except SQLAlchemyError as error:
        log.warning("the database does not answer", reason=str(error))
        return {"database": Check(ok=False, detail="does not answer")}
    working = sum(_leased(job.lease_until, now) for job in running)
    found = {"database": Check(ok=True, detail="answers")}
    if working:
        found["job worker"] = Check(ok=True, detail=f"works on {working} jobs")
    return found


def _job_totals(resources: ResourcesDep) -> jobs.Totals | None:
    try:
        with resources.sessions() as session:
            return jobs.totals(session)
    except SQLAlchemyError as error:
        log.warning("the database does not answer", reason=str(error))
        return None


@router.get(
    "/ready",
    summary="Is everything there",
    responses={**problems(), 503: {"model": ReadyBody, "description": "Something is missing."}},
)
async def ready(
    response: Response,
    resources: ResourcesDep,
    from_database: Annotated[dict[str, Check], Depends(_database_checks)],
) -> ReadyBody:
    """Check database, broker and both kinds of worker; 503 and the reasons if one is missing."""
    checks = {**await _broker_checks(resources), **from_database}
    well = all(check.ok for check in checks.values())
    response.status_code = 200 if well else 503
    return ReadyBody(status="ready" if well else "not ready", checks=checks)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {METRICS_TYPE: {"schema": {"type": "string"}}}}, **problems()},
)
async def metrics(
    resources: ResourcesDep,
    figures: FiguresDep,
    totals: Annotated[jobs.Totals | None, Depends(_job_totals)],
) -> Response:
    """Requests, jobs, asks and replies, as text; what cannot be asked just now is left out."""
    try:
        async with asyncio.timeout(BROKER_WAIT_S):
            waiting: int | None = await resources.redis.xlen(INBOX)
            told: Any = await resources.redis.hgetall(RETRIES)
            retries: dict[str, int] | None = {
                one.decode(): int(count) for one, count in told.items()
            }
    except (RedisError, TimeoutError, OSError):
        waiting = retries = None
    page = figures.page(jobs=totals, waiting=waiting, retries=retries)
    return Response(page, media_type=METRICS_TYPE)


async def _broker_checks(resources: Resources) -> dict[str, Check]:
    workers = {"inference worker": INFERENCE_QUEUE, "job worker": JOBS_QUEUE}
    try:
        async with asyncio.timeout(BROKER_WAIT_S):
            alive = {
                name: bool(await resources.redis.exists(alive_key(queue)))
                for name, queue in workers.items()
            }
    except (RedisError, TimeoutError, OSError) as error:
        log.warning("the broker does not answer", reason=str(error))
        return {
            "broker": Check(ok=False, detail="does not answer"),
            **{name: Check(ok=False, detail="unknown: the broker is down") for name in workers},
        }
    return {
        "broker": Check(ok=True, detail="answers"),
        **{
            name: Check(ok=is_alive, detail="listens" if is_alive else "has not been heard of")
            for name, is_alive in alive.items()
        },
    }


def _leased(lease_until: datetime | None, now: datetime) -> bool:
    return lease_until is not None and lease_until > now
