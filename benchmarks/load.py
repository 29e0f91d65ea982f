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


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: Mapping[str, Any]
) -> Timed:
    data = json.dumps(body, ensure_ascii=False).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    began = time.perf_counter()
    writer.write(head.encode() + data)
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
