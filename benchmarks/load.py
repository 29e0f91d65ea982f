"""Clients that cost little: keep-alive HTTP/1.1 over bare connections.

They share the cores with what they measure. Requests are written before the clock runs, and answers
read as JSON after it has stopped.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Timed:
    """One answer and how long it took, as the client saw it."""

    status: int
    body: dict[str, Any]
    wall_ms: float


@dataclass(frozen=True, slots=True)
class Streamed:
    """One streamed answer: when its first text came, and when it was whole."""

    first_ms: float
    wall_ms: float


async def run(
    url: str,
    path: str,
    bodies: Sequence[Mapping[str, Any]],
    *,
    clients: int,
    pause_s: float = 0.0,
) -> list[Timed]:
    """Post ``bodies`` to ``path`` with so many clients, each waiting for its answer in turn.

    A client pauses ``pause_s`` before each of its asks.
    """
    waiting = [(_request(path, body)) for body in reversed(bodies)]
    answers: list[tuple[bytes, bytes, float]] = []

    async def client() -> None:
        address = urlsplit(url)
        _, line = await asyncio.get_running_loop().create_connection(
            _Line, address.hostname, address.port
        )
        try:
            while waiting:
                request = waiting.pop()
                if pause_s:
                    await asyncio.sleep(pause_s)
                began = time.perf_counter()
                head, body = await line.ask(request)
                answers.append((head, body, (time.perf_counter() - began) * 1e3))
        finally:
            line.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return [Timed(int(head[9:12]), json.loads(body), wall) for head, body, wall in answers]


class _Line(asyncio.Protocol):
    """One connection that is kept: a request, its answer, the next request."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._heard = b""
        self._answer: asyncio.Future[tuple[bytes, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> asyncio.Future[tuple[bytes, bytes]]:
        """Send ``request``; return what becomes the head and the body of its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        cast("asyncio.Transport", self._transport).write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, body = self._heard.partition(b"\r\n\r\n")
        if end and self._answer and len(body) >= _length(head):
            self._heard = b""
            self._answer.set_result((head, body))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("the server hung up"))

    def close(self) -> None:
        """Hang up."""
        cast("asyncio.Transport", self._transport).close()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


async def stream(url: str, path: str, bodies: Sequence[Mapping[str, Any]]) -> list[Streamed]:
    """Post ``bodies`` one after the other, and read each answer as server-sent events."""
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    try:
        return [await _follow(reader, writer, path, {**body, "stream": True}) for body in bodies]
    finally:
        writer.close()
        await writer.wait_closed()


async def _follow(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: Mapping[str, Any]
) -> Streamed:
    began = time.perf_counter()
    first = None
    writer.write(_request(path, body))
    while line := await reader.readline():
        if line.startswith(b"event: piece") and first is None:
            first = time.perf_counter()
        elif line.startswith(b"event: reply"):
            whole = time.perf_counter()
            await reader.readuntil(b"\r\n0\r\n\r\n")  # the last chunk
            return Streamed(((first or whole) - began) * 1e3, (whole - began) * 1e3)
        elif line.startswith((b"event: error", b"HTTP/1.1 4", b"HTTP/1.1 5")):
            break
    raise RuntimeError(f"a streamed reply failed: {line!r}")


def _request(path: str, body: Mapping[str, Any]) -> bytes:
    data = json.dumps(body, ensure_ascii=False).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
