"""What surrounds every request: its id, its size limit, its figures, and the last catch."""

import re
from time import perf_counter
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.tracing import PARENT, tracing
from services.api.errors import respond
from services.api.figures import Figures

log = structlog.get_logger()

ID_HEADER = "x-request-id"
ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")
UNMATCHED = "unmatched"
HUNG_UP = 499  # nobody reads it; in the figures it tells these requests apart
JSON_LIMIT = 16 * 2**20  # bytes; the largest list of texts fits in it


class Frame:
    """Give each request an id, count and time it, and answer what nobody caught with a 500."""

    def __init__(self, app: ASGIApp, *, figures: Figures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[ID_HEADER] = request_id
            await send(message)

        parent = Headers(scope=scope).get(PARENT, "")
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            tracing.span(scope["method"], parent=parent) as span,
        ):
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                status = HUNG_UP
            except Exception as error:
                log.exception("a request failed", method=scope["method"], path=scope["path"])
                if status:
                    raise  # the answer has begun: only cutting it off shows that it is not whole
                await respond(error, request_id=request_id)(scope, receive, send_with_id)
            finally:
                route = getattr(scope.get("route"), "path_format", UNMATCHED)
                span |= {
                    "name": f"{scope['method']} {route}",
                    "http.route": route,
                    "http.response.status_code": status,
                    "malgil.request_id": request_id,
                }
                self._figures.answered(
                    route=route,
                    method=scope["method"],
                    status=status,
                    seconds=perf_counter() - began,
                )


class BodyLimit:
    """Refuse bodies that are too large, told beforehand or not, without keeping them in memory.

    Starlette has such a middleware, but answers in plain text.
    """

    def __init__(self, app: ASGIApp, *, upload_limit: int, uploads: frozenset[str]) -> None:
        """``upload_limit`` is in bytes and counts for the paths in ``uploads``."""
        self._app = app
        self._upload_limit = upload_limit
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request, counting what it sends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._upload_limit if scope["path"] in self._uploads else JSON_LIMIT
        told, seen = Headers(scope=scope).get("content-length", ""), 0
        if told.isdigit() and int(told) > limit:
            answer = respond(_too_large(limit), request_id=scope["state"]["request_id"])
            await answer(scope, receive, send)
            return

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, counted, send)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"The body is larger than the {limit // 2**20} MB allowed here.")


def _request_id(scope: Scope) -> str:
    """Take over the id that a proxy gave, if it is harmless in a log."""
    given = Headers(scope=scope).get(ID_HEADER, "")
    return given if ID_PATTERN.fullmatch(given) else uuid4().hex
