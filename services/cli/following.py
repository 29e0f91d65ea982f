"""The events of a job, as they come, over as many connections as it takes."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from services.cli.client import Client
from services.cli.failures import Exit, Failure

ENDED = frozenset({"succeeded", "failed", "cancelled"})
PATIENCE_S = 60.0  # without a connection, before giving up
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # between attempts to connect again; the last one repeats


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: ``kind`` is state, log, metrics or progress."""

    kind: str
    data: dict[str, Any]
    id: int | None = None
    step: int | None = None
    attempt: int | None = None

    def numbers(self) -> dict[str, int]:
        """Return id, attempt and step, as far as there are any."""
        told = {"id": self.id, "attempt": self.attempt, "step": self.step}
        return {key: value for key, value in told.items() if value is not None}


@dataclass(slots=True)
class Message:
    """A server-sent event as it came."""

    event: str = "message"
    id: str | None = None
    data: str = ""


def messages(lines: Iterable[str]) -> Iterator[Message]:
    """Read server-sent events; comments, and a last one that was cut off, are left out.

    Source: HTML Living Standard, 9.2.6.
    """
    message, data = Message(), list[str]()
    for line in lines:
        if not line:
            if data:
                message.data = "\n".join(data)
                yield message
            message, data = Message(), []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            message.event = value
        elif name == "id":
            message.id = value


def follow(client: Client, job_id: str, *, patience_s: float = PATIENCE_S) -> Iterator[Event]:
    """Yield what happened in a job and what happens, until it has ended.

    A connection that breaks is opened again where it broke. Raises Failure once there has been
    none for ``patience_s`` seconds, or at once where the job is unknown.
    """
    after, tries, heard_at = 0, 0, time.monotonic()
    while True:
        try:
            for event in _connection(client, job_id, after):
                after, tries, heard_at = event.id or after, 0, time.monotonic()
                yield event
            # Whatever closed it, whether the job has ended is for the job to say.
            if client.ask("GET", f"/v1/jobs/{job_id}")["status"] in ENDED:
                return
            heard_at = time.monotonic()
        except Failure as failure:
            lost_s = time.monotonic() - heard_at
            if failure.code != Exit.UNAVAILABLE or lost_s > patience_s:
                raise
        time.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
        tries += 1


def _connection(client: Client, job_id: str, after: int) -> Iterator[Event]:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    with client.streaming(f"/v1/jobs/{job_id}/stream", headers=headers) as response:
        for message in messages(response.iter_lines()):
            if (event := _event(message)) is not None:
                yield event


def _event(message: Message) -> Event | None:
    try:
        data = json.loads(message.data)
    except ValueError:
        return None
    if not isinstance(data, dict):
        return None
    number = int(message.id) if message.id and message.id.isdigit() else None
    if isinstance(data.get("data"), dict):  # a row of the events, with what it says inside
        return Event(message.event, data["data"], number, data.get("step"), data.get("attempt"))
    return Event(message.event, data, number, data.get("step"))
