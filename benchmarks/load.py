"""Clients that cost little: keep-alive HTTP/1.1 over plain asyncio streams."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
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
    waiting = list(reversed(bodies))
    answers: list[Timed] = []

    async def client() -> None:
        host, port = urlsplit(url).hostname, urlsplit(url).port
        reader, writer = await asyncio.open_connection(host, port)
        try:
            while waiting:
                body = waiting.pop()
                await asyncio.sleep(pause_s)
                answers.append(await _post(reader, writer, path, body))
        finally:
            writer.close()
            await writer.wait_closed()

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers


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


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: Mapping[str, Any]
) -> Timed:
    began = time.perf_counter()
    writer.write(_request(path, body))
    answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(answer.split("content-length:", 1)[1].split("\r\n", 1)[0])
    text = await reader.readexactly(length)
    return Timed(
        int(answer.split(" ", 2)[1]), json.loads(text), (time.perf_counter() - began) * 1e3
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
