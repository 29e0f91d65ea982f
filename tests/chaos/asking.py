"""Clients that ask at the same time, and how each of their requests ended."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from services.cli.following import messages

SLACK_S = 1.5  # a client, a server and its workers on the same cores; a deadline is not a moment
CONNECTIONS = 64  # that are kept
SHOWN = 5  # failures
STREAMED = 10  # one request of so many is streamed


@dataclass(frozen=True, slots=True)
class Ended:
    """How a request ended: answered, with a clear error, or in silence."""

    number: int
    streamed: bool
    status: int  # 0: the connection broke
    problem: str  # its type; empty where there is none
    id: str  # of the reply
    checkpoint: str
    at: float  # on the monotonic clock
    seconds: float
    words: str  # what was answered, or why not
    retry_after: str = ""
    elsewhere: bool = False  # whether the first server that was asked had hung up

    @property
    def answered(self) -> bool:
        """Whether a whole reply came."""
        return self.status == 200 and not self.problem and bool(self.id)

    @property
    def refused(self) -> bool:
        """Whether a problem document says what went wrong, and that it is no fault of ours."""
        return bool(self.problem) and not self.problem.endswith(":failure")


@dataclass(frozen=True, slots=True)
class Tally:
    """How many requests ended in which way."""

    all: Sequence[Ended]
    deadline_s: float

    @property
    def answered(self) -> list[Ended]:
        """Those with a reply."""
        return [one for one in self.all if one.answered]

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return max(one.at for one in self.all) - min(one.at - one.seconds for one in self.all)

    @property
    def silent(self) -> list[Ended]:
        """Those that got neither a reply nor a clear error, or not within the deadline."""
        return [
            one
            for one in self.all
            if not (one.answered or one.refused) or one.seconds > self.deadline_s + SLACK_S
        ]

    def __str__(self) -> str:
        total, answered, silent = len(self.all), len(self.answered), len(self.silent)
        errors = Counter(
            f"{one.status} {one.problem.rpartition(':')[2]}" for one in self.all if one.refused
        )
        each = ", ".join(f"{name} {count}" for name, count in errors.most_common()) or "none"
        p50, p99, most = (quantile(self.all, share) for share in (0.5, 0.99, 1.0))
        return (
            f"{total} requests: {answered} answered ({100 * answered / total:.2f}%), "
            f"{errors.total()} clear errors ({100 * errors.total() / total:.2f}%: {each}), "
            f"{silent} silent failures; p50 {p50:.2f} s, p99 {p99:.2f} s, longest {most:.2f} s"
            + "".join(f"\n  {one}" for one in self.failures[:SHOWN])
        )

    @property
    def failures(self) -> list[Ended]:
        """One of each kind of those that were not answered, and all that ended in silence."""
        kinds = {(one.status, one.problem, one.words): one for one in self.all if not one.answered}
        return [*self.silent, *kinds.values()]


def quantile(ended: Sequence[Ended], share: float) -> float:
    """Return the seconds that ``share`` of the requests did not exceed."""
    ordered = sorted(one.seconds for one in ended)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def ask_many(url: str, count: int, *, clients: int, deadline_s: float) -> Tally:
    """Ask so many times with so many clients, each in its turn."""
    asked = _ask_in_turn([url], iter(range(count)), clients, deadline_s)
    return Tally(asyncio.run(asked), deadline_s)


def ask_at(url: str, rate: float, seconds: float, *, deadline_s: float) -> Tally:
    """Ask so many times a second, or as often as these cores allow, whatever becomes of it."""
    return Tally(asyncio.run(_ask_at(url, rate, seconds, deadline_s)), deadline_s)


@contextmanager
def asking(*urls: str, clients: int, deadline_s: float) -> Iterator[list[Tally]]:
    """Have clients ask all the while; after the block, their tally is in the list.

    They ask the servers in turns, and where one has hung up, the next one.
    """
    over, tallies = threading.Event(), []

    def numbers() -> Iterator[int]:
        number = 0
        while not over.is_set():
            yield number
            number += 1

    def ask() -> None:
        asked = _ask_in_turn(urls, numbers(), clients, deadline_s)
        tallies.append(Tally(asyncio.run(asked), deadline_s))

    thread = threading.Thread(target=ask, name="clients")
    thread.start()
    try:
        yield tallies
    finally:
        over.set()
        thread.join()


async def _ask_in_turn(
    urls: Sequence[str], numbers: Iterator[int], clients: int, deadline_s: float
) -> list[Ended]:
    ended: list[Ended] = []
    async with _http(deadline_s) as http:

        async def client() -> None:
            ended.extend([await _ask_any(http, urls, number, deadline_s) for number in numbers])

        await asyncio.gather(*(client() for _ in range(clients)))
    return ended


async def _ask_at(url: str, rate: float, seconds: float, deadline_s: float) -> list[Ended]:
    began = time.monotonic()
    async with _http(deadline_s) as http, asyncio.TaskGroup() as group:
        asked = []
        for number in range(int(rate * seconds)):
            if (late := time.monotonic() - began) > seconds:
                break
            await asyncio.sleep(max(0.0, number / rate - late))
            asked.append(group.create_task(_ask(http, url, number, deadline_s)))
    return [task.result() for task in asked]


def _http(deadline_s: float) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS)
    return httpx.AsyncClient(limits=limits, timeout=deadline_s + 10, trust_env=False)


async def _ask_any(
    http: httpx.AsyncClient, urls: Sequence[str], number: int, deadline_s: float
) -> Ended:
    """Ask the servers in turns; where one has hung up, the next one, as a proxy would."""
    first = await _ask(http, urls[number % len(urls)], number, deadline_s)
    if first.status or len(urls) == 1:
        return first
    second = await _ask(http, urls[(number + 1) % len(urls)], number, deadline_s)
    return replace(second, elsewhere=True)


async def _ask(http: httpx.AsyncClient, url: str, number: int, deadline_s: float) -> Ended:
    streamed = number % STREAMED == 0
    body = {"model": "bot", "text": f"hello {number}", "timeout_s": deadline_s, "stream": streamed}
    began = time.monotonic()
    try:
        answer = await http.post(f"{url}/v1/replies", json=body)
        status, told, retry = answer.status_code, _told(answer), answer.headers.get("Retry-After")
    except httpx.HTTPError as error:
        status, told, retry = 0, {"text": repr(error)}, None
    now = time.monotonic()
    return Ended(
        number=number,
        streamed=streamed,
        status=told.get("status", status),
        problem=told.get("type", ""),
        id=told.get("id", ""),
        checkpoint=told.get("checkpoint") or "",
        at=now,
        seconds=now - began,
        words=told.get("text") or told.get("detail") or "",
        retry_after=retry or "",
    )


def _told(answer: httpx.Response) -> dict[str, Any]:
    """Return the reply or the problem; of a stream, its last event."""
    if not answer.headers["Content-Type"].startswith("text/event-stream"):
        return dict(json.loads(answer.content))
    *pieces, last = [
        (one.event, json.loads(one.data)) for one in messages(iter(answer.text.splitlines()))
    ]
    if last[0] == "reply":
        said = "".join(data["text"] for _, data in pieces)
        assert said == last[1]["text"], "the pieces of a stream are not its reply"
    return dict(last[1]) if last[0] in {"reply", "error"} else {}
