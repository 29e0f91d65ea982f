"""From an inbox reply to what a client gets, whole or streamed."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from time import perf_counter
from typing import Any, TypeVar, cast
from uuid import uuid4

import structlog
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.requests import ClientDisconnect, Request
from starlette.types import Send

from core.queue.messages import Reply
from services.api.errors import dump, problem_of
from services.api.figures import Figures
from services.api.kept import Kept
from services.api.resources import Inbox
from services.api.schemas.fields import Decode
from services.api.schemas.kept import kept_body
from services.api.schemas.replies import CandidateBody, Piece, ReplyBody, Timing

log = structlog.get_logger()

ResultT = TypeVar("ResultT")


class Answers:
    """Asks the inbox, counts how that ends, and shapes what comes back."""

    def __init__(self, *, inbox: Inbox, kept: Kept, figures: Figures, timeout_s: float) -> None:
        """``timeout_s`` counts where a request says nothing else."""
        self._inbox = inbox
        self._kept = kept
        self._figures = figures
        self._timeout_s = timeout_s

    async def whole(
        self,
        *,
        model: str,
        turns: Sequence[str],
        decode: Decode,
        timeout_s: float | None,
        details: bool = False,
        priority: int = 0,
        model_only: bool = False,
    ) -> ReplyBody:
        """Return the reply to the last of ``turns``; a lower ``priority`` goes first.

        It is what people kept as an answer, if ``model`` gives that, unless ``model_only``. Raises
        what the inbox raises: no such model, bad options, full, no worker, too late.
        """
        if not model_only and (
            kept := self._from_kept(model=model, turns=turns, decode=decode, details=details)
        ):
            return kept
        began = perf_counter()
        with self._figures.asking():
            reply = await self._inbox.ask(
                model=model,
                turns=turns,
                decode=decode.chosen(),
                details=details,
                timeout_s=timeout_s or self._timeout_s,
                priority=priority,
            )
        self._figures.replied(reply)
        return _body(reply, model=model, began=began)

    async def events(
        self,
        *,
        model: str,
        turns: Sequence[str],
        decode: Decode,
        timeout_s: float | None,
        details: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """Yield ``piece`` events as text comes, then one ``reply``; raises as ``whole`` does.

        What was kept as an answer comes in one piece.
        """
        if kept := self._from_kept(model=model, turns=turns, decode=decode, details=details):
            yield _event("piece", Piece(text=kept.text).model_dump_json())
            yield _event("reply", kept.model_dump_json())
            return
        began, begun = perf_counter(), False
        with self._figures.asking():
            replies = self._inbox.stream(
                model=model,
                turns=turns,
                decode=decode.chosen(),
                details=details,
                timeout_s=timeout_s or self._timeout_s,
            )
            # closed at once when the client leaves: the ask then leaves inbox and engine
            async with aclosing(cast("AsyncGenerator[Reply, None]", replies)) as closing:
                async for reply in closing:
                    if not begun:
                        self._figures.first_text(perf_counter() - began)
                        begun = True
                    if reply.final:
                        self._figures.replied(reply)
                        body = _body(reply, model=model, began=began)
                        yield _event("reply", body.model_dump_json())
                    else:
                        yield _event("piece", Piece(text=reply.piece or "").model_dump_json())

    def _from_kept(
        self, *, model: str, turns: Sequence[str], decode: Decode, details: bool
    ) -> ReplyBody | None:
        """Return what people kept as an answer, if ``model`` gives that; tokens it cannot tell."""
        began = perf_counter()
        found = None if details else self._kept.answer(model, turns[-1], decode)
        if found is None:
            return None
        self._figures.from_kept()
        return ReplyBody(
            id=uuid4().hex,
            model=model,
            checkpoint=None,
            text=found.kept.answer,
            score=0.0,
            source=kept_body(found),
            alternatives=[],
            timing=Timing(
                queue_ms=0.0, model_ms=0.0, total_ms=(perf_counter() - began) * 1e3, batch=0
            ),
        )


class EventStream(EventSourceResponse):
    """Server-sent events that begin only when there is a first one.

    What fails before that is still an HTTP error; what fails later is the last event, ``error``.
    """

    def __init__(self, events: AsyncGenerator[bytes, None], *, request_id: str) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers)
        self._events = events
        self._request_id = request_id

    async def stream_response(self, send: Send) -> None:
        """Send everything, from one task: deadlines inside of the events belong to a task."""
        async with aclosing(self._events) as events:
            first = await anext(events)
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await send({"type": "http.response.body", "body": first, "more_body": True})
            try:
                async for event in events:
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            except Exception as error:  # the status is out: only the stream itself can say it
                problem = problem_of(error)
                if problem.status == 500:
                    log.exception("a streamed reply failed")
                last = _event("error", dump(problem, request_id=self._request_id))
                await send({"type": "http.response.body", "body": last, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def while_connected(request: Request, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Wait for ``work``, but give it up when the client hangs up; its body must have been read."""
    waiting = cast("asyncio.Task[Any]", asyncio.current_task())
    leaving = asyncio.create_task(_cancel_when_left(request, waiting))
    try:
        return await work
    except asyncio.CancelledError:
        if leaving.done() and not waiting.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        leaving.cancel()


async def _cancel_when_left(request: Request, waiting: "asyncio.Task[Any]") -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    waiting.cancel()


def _body(reply: Reply, *, model: str, began: float) -> ReplyBody:
    best, *others = reply.candidates
    return ReplyBody(
        id=reply.id,
        model=model,
        checkpoint=reply.checkpoint,
        text=best.text,
        score=best.score,
        details=best.details,
        alternatives=[CandidateBody.model_validate(one) for one in others],
        timing=Timing(
            queue_ms=reply.queue_ms,
            model_ms=reply.model_ms,
            total_ms=(perf_counter() - began) * 1e3,
            batch=reply.batch,
        ),
    )


def _event(name: str, data: str) -> bytes:
    return format_sse_event(event=name, data_str=data)
