"""Stand-ins for what lies behind the API, and a client that needs no server."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

import httpx
from anyio.from_thread import BlockingPortal

from core.queue.messages import Candidate, Details, Reply


@dataclass(frozen=True, slots=True)
class Asked:
    model: str
    turns: tuple[str, ...]
    timeout_s: float
    decode: dict[str, Any]
    details: bool = False
    priority: int = 0


@dataclass
class FakeInbox:
    """Answers every ask by turning its last turn round; or fails as it was told to."""

    asked: list[Asked] = field(default_factory=list)
    failures: dict[str, Exception] = field(default_factory=dict)  # by text; "" for any
    pieces_before_failure: int = 0

    async def ask(
        self,
        *,
        model: str,
        turns: Sequence[str],
        timeout_s: float,
        decode: Mapping[str, Any],
        details: bool = False,
        priority: int = 0,
    ) -> Reply:
        asked = Asked(model, tuple(turns), timeout_s, dict(decode), details, priority)
        self.asked.append(asked)
        self._fail(turns[-1])
        return self._reply(asked)

    async def stream(
        self,
        *,
        model: str,
        turns: Sequence[str],
        timeout_s: float,
        decode: Mapping[str, Any],
        details: bool = False,
    ) -> AsyncIterator[Reply]:
        asked = Asked(model, tuple(turns), timeout_s, dict(decode), details)
        self.asked.append(asked)
        reply = self._reply(asked)
        for place, letter in enumerate(reply.candidates[0].text):
            if place >= self.pieces_before_failure:
                self._fail(turns[-1])
            yield Reply(id=reply.id, piece=letter)
        yield reply

    def _fail(self, text: str) -> None:
        failure = self.failures.get(text, self.failures.get(""))
        if failure is not None:
            raise failure

    def _reply(self, asked: Asked) -> Reply:
        backwards = asked.turns[-1][::-1]
        details = Details(tuple(backwards), (-0.5,)) if asked.details else None
        return Reply(
            id=uuid4().hex,
            candidates=tuple(
                Candidate(backwards + "!" * place, -0.25 - place, details)
                for place in range(int(asked.decode.get("n_best", 1)))
            ),
            queue_ms=0.5,
            model_ms=2.0,
            batch=1,
            tokens=len(backwards),
            checkpoint="c1f7a8f2-3b0c-4f63-9a65-1f0c5c1d4b21",
        )


@dataclass
class FakeDoorbell:
    """Counts how often it was rung; ``heard`` can see what is there at that moment."""

    rung: int = 0
    heard: Callable[[], None] = lambda: None

    def ring_jobs(self) -> None:
        self.rung += 1
        self.heard()


@dataclass
class Chunks(httpx.AsyncByteStream):
    """The chunks of a blocking stream, for a transport that awaits them."""

    stream: httpx.SyncByteStream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.stream:
            yield chunk


class InProcess(httpx.BaseTransport):
    """Sends requests of a blocking client straight into an application."""

    def __init__(self, app: Any, portal: BlockingPortal) -> None:
        self._transport = httpx.ASGITransport(app)
        self._portal = portal

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._portal.call(self._exchange, request)

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        if not isinstance(request.stream, httpx.AsyncByteStream):
            request.stream = Chunks(cast(httpx.SyncByteStream, request.stream))
        response = await self._transport.handle_async_request(request)
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)
