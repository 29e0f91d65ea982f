"""Every error as a problem document (RFC 9457); the only place that knows HTTP codes of errors."""

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from core.errors import (
    BundleError,
    ConflictError,
    DataError,
    InboxFullError,
    InProgressError,
    InputError,
    LeaseLostError,
    MalgilError,
    NotFoundError,
    NoWorkerError,
    ReplyTimeoutError,
    SpecError,
    UnavailableError,
)
from core.storage.tables import JobKind
from services.api.schemas.jobs import WRONG_KIND
from services.api.schemas.problems import PROBLEM_TYPE, FieldProblem, LineProblem, Problem

log = structlog.get_logger()

SHOWN = 20  # faults listed in one answer
WORDS = 300  # characters of one fault; a client's own text can come back in it

# The nearest class counts: a new error is answered like its parent until it has a line here.
TABLE: Mapping[type[MalgilError], tuple[int, str, str]] = {
    InputError: (422, "invalid-request", "The request does not fit"),
    SpecError: (422, "invalid-spec", "The spec does not fit"),
    DataError: (422, "unreadable-data", "The file has lines that cannot be read"),
    BundleError: (422, "damaged-checkpoint", "The checkpoint file is damaged or unknown"),
    NotFoundError: (404, "not-found", "Not found"),
    ConflictError: (409, "conflict", "Not in this state"),
    InProgressError: (409, "in-progress", "Still being worked on"),
    LeaseLostError: (409, "lease-lost", "Another worker has the job"),
    UnavailableError: (503, "unavailable", "Not available now"),
    InboxFullError: (429, "inbox-full", "Too many asks are waiting"),
    NoWorkerError: (503, "no-worker", "No worker is there"),
    ReplyTimeoutError: (504, "reply-timeout", "No answer in time"),
    MalgilError: (500, "failure", "Something failed"),
}
STATUS_SLUGS = {
    400: "malformed-body",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    507: "no-room",
}


def problem_of(error: Exception) -> Problem:
    """Return what ``error`` looks like to a client; faults of ours say nothing of their inside."""
    if isinstance(error, MalgilError):
        return _of_the_house(error)
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, _DOWN):
        return _problem(503, "unavailable", "Not available now", "The database or broker is down.")
    return _problem(500, "failure", "Something failed", "A fault of ours; the log tells more.")


def respond(error: Exception, *, request_id: str) -> Response:
    """Answer with the problem document of ``error``, and when to try again if that helps."""
    problem = problem_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        headers.update(error.headers or {})
    if problem.status in {429, 503, 504}:
        wait_s = error.retry_after_s if isinstance(error, UnavailableError) else 1.0
        headers["Retry-After"] = str(math.ceil(wait_s))
    return Response(
        dump(problem, request_id=request_id),
        status_code=problem.status,
        headers=headers,
        media_type=PROBLEM_TYPE,
    )


def dump(problem: Problem, *, request_id: str) -> str:
    """Write ``problem`` as JSON, in ASCII: what a client sent may not be encodable otherwise."""
    named = problem.model_copy(update={"instance": f"urn:malgil:request:{request_id}"})
    return json.dumps(named.model_dump(exclude_none=True))


def install(app: FastAPI) -> None:
    """Answer every error that a route raises with a problem document."""
    kinds = (MalgilError, RequestValidationError, HTTPException, *_DOWN)
    for kind in kinds:
        app.add_exception_handler(kind, _handle)


_DOWN = (OperationalError, PoolTimeoutError, RedisConnectionError, RedisTimeoutError)


async def _handle(request: Request, error: Exception) -> Response:
    if isinstance(error, _DOWN):
        log.warning("a part is down", path=request.url.path, reason=str(error))
    return respond(error, request_id=request.state.request_id)


def _problem(status: int, slug: str, title: str, detail: str, **more: Any) -> Problem:
    kind = f"urn:malgil:problem:{slug}"
    return Problem(type=kind, title=title, status=status, detail=detail, **more)


def _of_the_house(error: MalgilError) -> Problem:
    kind = next(kind for kind in type(error).__mro__ if kind in TABLE)
    status, slug, title = TABLE[kind]
    field = error.field if isinstance(error, InputError) else None
    lines = error.lines if isinstance(error, DataError) else ()
    return _problem(
        status,
        slug,
        title,
        str(error),
        errors=[FieldProblem(field=field, message=_once(field, error))] if field else None,
        lines=[LineProblem(line=line, message=message) for line, message in lines] or None,
    )


def _once(field: str, error: MalgilError) -> str:
    """Return what ``error`` says without the name of its field, which stands beside it."""
    return str(error).removeprefix(f"{field}: ")


def _of_validation(error: RequestValidationError) -> Problem:
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        fault = faults[0]
        words = f"The body is not JSON: {fault['ctx']['error']} at character {fault['loc'][-1]}."
        return _problem(400, "malformed-body", "The body cannot be read", words)
    fields = [
        FieldProblem(field=_field(_location(fault)), message=_message(fault))
        for fault in faults[:SHOWN]
    ]
    detail = "; ".join(f"{one.field}: {one.message}" for one in fields[:3])
    return _problem(422, "invalid-request", "The request does not fit", detail, errors=fields)


# Which of several requests a body is stands in a location like a field, and is none.
_TAGS = {(kind.value,) for kind in JobKind}


def _location(fault: Mapping[str, Any]) -> tuple[Any, ...]:
    location = tuple(fault["loc"])
    if fault["type"] == WRONG_KIND:
        return (*location, "kind")
    return location[:1] + location[2:] if location[1:2] in _TAGS else location


def _field(location: Sequence[Any]) -> str:
    """Name a field as the client knows it: "decode.beam_size", not where in HTTP it travelled."""
    inside = location[1:] or location
    return ".".join(str(part) for part in inside)[:WORDS]


def _message(fault: Mapping[str, Any]) -> str:
    return str(fault["msg"]).removeprefix("Value error, ")[:WORDS]


def _of_http(error: HTTPException) -> Problem:
    status, detail = error.status_code, str(error.detail)
    if isinstance(error.__cause__, OSError):
        status, detail = 507, "There is no room on this machine for what was sent."
    title = HTTPStatus(status).phrase
    return _problem(status, STATUS_SLUGS.get(status, "http"), title, detail)
