"""The asking side of the reply way: an ask goes into the inbox, its reply comes back here.

Each asking process has one mailbox, a Redis stream, and one listener that hands what arrives
there to whoever waits for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NotRequired, Protocol, TypedDict, Unpack
from uuid import uuid4

import structlog
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from core.clock import Clock
from core.errors import InboxFullError, NoWorkerError, ReplyTimeoutError
from core.queue.broker import seconds
from core.queue.line import AsyncLine, Word
from core.queue.lost import Lost
from core.queue.messages import (
    BELL,
    BELL_MS,
    GIVEN_UP,
    INBOX,
    INFERENCE_QUEUE,
    RETRIES,
    Ask,
    Reply,
    alive_key,
    load_replies,
    replies_key,
)
from core.queue.scripts import PUT, PUT_SHA
from core.queue.waiting import Waiting
from core.tracing import tracing

log = structlog.get_logger()

LISTEN_MS = 1000
GIVEN_UP_LENGTH = 1000  # about so many of the newest are remembered ...
GIVEN_UP_EXPIRES_S = 300  # ... for this long
GRACE_S = 0.25  # the worker, who also knows the deadline, gets this long to say so itself
TRIP_S = 5.0  # a trip to Redis that takes longer has failed
LOOK_S = 1.0  # how often it is looked for asks that the server has lost
TOGETHER = 256  # asks of one trip at most


class Asked(TypedDict):
    """What one asks a model."""

    model: str
    turns: Sequence[str]  # oldest first
    decode: NotRequired[Mapping[str, Any]]  # laid over the model's own options
    details: NotRequired[bool]  # whether candidates tell how they came about


class Bell(Protocol):
    """Whatever can wake the inference workers."""

    def ring_inbox(self) -> None:
        """Say that asks may be waiting; returns when it is said."""
        ...


class Inbox:
    """Puts asks into the inbox and waits for their replies."""

    def __init__(self, redis: "Redis", *, bell: Bell, limit: int) -> None:
        """``limit`` is how many asks may wait, of all processes together."""
        self._redis = redis
        self._bell = bell
        self._limit = limit
        self._clock = Clock()
        self._mailbox = uuid4().hex
        self._waiting: dict[str, Waiting] = {}
        self._putting, self._listening = AsyncLine(redis), AsyncLine(redis)
        self._outgoing: list[Waiting] = []  # asks that are on no trip yet
        self._sending: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._searcher: asyncio.Task[None] | None = None
        self._ringing: set[asyncio.Future[None]] = set()
        self._removing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start to listen for replies."""
        self._listener = asyncio.create_task(self._listen())
        self._searcher = asyncio.create_task(self._search())

    async def close(self) -> None:
        """Stop listening; whoever still waits is told so."""
        for task in (self._searcher, self._listener):
            while task is not None and not task.done():
                task.cancel()  # again and again: a client in mid-reconnect swallows it
                await asyncio.wait({task}, timeout=0.1)
        for trip in (self._sending, *self._removing):
            if trip is not None:
                trip.cancel()
        for waiting in self._waiting.values():
            waiting.heard.put_nowait(NoWorkerError("the server is closing"))

    async def ask(self, *, timeout_s: float, priority: int = 0, **asked: Unpack[Asked]) -> Reply:
        """Return the whole reply.

        Raises InboxFullError, NoWorkerError or ReplyTimeoutError, or what the worker refused
        the ask with (NotFoundError for an unknown model, SpecError for a wrong option).
        """
        waiting, late = self._begin(timeout_s, asked, priority=priority)
        try:
            while not (reply := await waiting.next()).final:
                pass
            return reply
        finally:
            late.cancel()
            if self._is_left(waiting):
                await self._take_back(waiting)

    async def stream(self, *, timeout_s: float, **asked: Unpack[Asked]) -> AsyncIterator[Reply]:
        """Yield pieces as they become certain, then the whole reply; raises as ``ask`` does."""
        waiting, late = self._begin(timeout_s, asked, stream=True)
        try:
            while not (reply := await waiting.next()).final:
                yield reply
            yield reply
        finally:
            late.cancel()
            if self._is_left(waiting):
                await self._take_back(waiting)

    def _begin(
        self, timeout_s: float, asked: Asked, *, stream: bool = False, priority: int = 0
    ) -> tuple[Waiting, asyncio.TimerHandle]:
        """Send an ask on its way; return where its reply comes, and what ends it when it is late.

        What is sent while another trip is under way goes with the next one, all at once.
        """
        waiting = Waiting(self._ask(timeout_s, asked, stream=stream, priority=priority))
        self._waiting[waiting.ask.id] = waiting
        self._post([waiting])
        late = ReplyTimeoutError(f"no reply within {timeout_s:g} s")
        return waiting, asyncio.get_running_loop().call_later(
            timeout_s + GRACE_S, waiting.heard.put_nowait, late
        )

    def _ask(
        self, timeout_s: float, asked: Asked, *, stream: bool = False, priority: int = 0
    ) -> Ask:
        return Ask(
            id=uuid4().hex,
            mailbox=self._mailbox,
            model=asked["model"],
            turns=tuple(asked["turns"]),
            decode=dict(asked.get("decode", {})),
            details=asked.get("details", False),
            stream=stream,
            priority=priority,
            request=structlog.contextvars.get_contextvars().get("request_id", ""),
            trace=tracing.carried(),
            deadline=self._clock() + timeout_s,
        )

    def _post(self, waiting: Sequence[Waiting]) -> None:
        self._outgoing += waiting
        if self._outgoing and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._outgoing:
            batch = [one for one in self._outgoing[:TOGETHER] if not one.left]
            del self._outgoing[:TOGETHER]
            if batch:
                await self._send(batch)
            for waiting in batch:
                if waiting.left:
                    await self._take_back(waiting)

    async def _send(self, batch: Sequence[Waiting]) -> None:
        """Put asks into the inbox, as many as there is room for, and ring if nobody has."""
        try:
            async with asyncio.timeout(TRIP_S):
                said = await self._put([one.data for one in batch])
        except (RedisError, TimeoutError) as error:
            for one in batch:
                one.refuse(NoWorkerError(f"the queue cannot be reached: {error}"))
            return
        rings, entries = said or (0, [])
        for one, entry in zip(batch, entries, strict=False):
            one.entry = entry
        for one in batch[len(entries) :]:
            one.refuse(
                InboxFullError(f"{self._limit} asks are waiting already")
                if said
                else NoWorkerError("no inference worker is alive")
            )
        if rings:
            ringing = asyncio.get_running_loop().run_in_executor(None, self._bell.ring_inbox)
            self._ringing.add(ringing)
            ringing.add_done_callback(self._ringing.discard)

    async def _put(self, asks: Sequence[bytes]) -> Any:
        """Return what the script says; a connection that broke meanwhile is made anew, once."""
        keys = (INBOX, BELL, alive_key(INFERENCE_QUEUE))
        words: tuple[Word, ...] = (len(keys), *keys, self._limit, BELL_MS, *asks)
        try:
            return await self._putting.call("EVALSHA", PUT_SHA, *words)
        except (NoScriptError, RedisConnectionError):
            return await self._putting.call("EVAL", PUT, *words)

    def _is_left(self, waiting: Waiting) -> bool:
        """Wait no longer; return whether an ask without an answer stays behind."""
        del self._waiting[waiting.ask.id]
        waiting.left = True
        return waiting.entry is not None

    async def _take_back(self, waiting: Waiting) -> None:
        """Remove an ask nobody waits for any more; who works on it already is told to stop.

        Whoever asked is not kept waiting by a server that does not answer.
        """
        if waiting.entry is not None:
            removing = asyncio.create_task(self._give_up(waiting.ask.id, waiting.entry))
            self._removing.add(removing)
            removing.add_done_callback(self._removing.discard)
            await asyncio.wait({removing}, timeout=GRACE_S)

    async def _give_up(self, ask_id: str, entry: bytes) -> None:
        with suppress(RedisError, TimeoutError):
            async with asyncio.timeout(TRIP_S), self._redis.pipeline(transaction=False) as pipe:
                pipe.xdel(INBOX, entry)
                pipe.xadd(GIVEN_UP, {"ask": ask_id}, maxlen=GIVEN_UP_LENGTH, approximate=True)
                pipe.expire(GIVEN_UP, GIVEN_UP_EXPIRES_S)
                await pipe.execute()

    async def _listen(self) -> None:
        """Hand every reply in the mailbox to whoever waits for it, for ever."""
        key, last = replies_key(self._mailbox), b"0"
        while True:
            try:
                heard = await self._listening.call(
                    "XREAD", "BLOCK", LISTEN_MS, "STREAMS", key, last
                )
            except RedisError as error:
                log.warning("the mailbox cannot be reached", error=str(error))
                await asyncio.sleep(0.2)
                continue
            for _, entries in heard or ():
                for entry, fields in entries:
                    last = entry
                    self._hand_out(fields)
            await asyncio.sleep(0)  # whoever was waiting goes first

    async def _search(self) -> None:
        """Put asks again that the server has lost, for ever; one that was half heard ends."""
        lost = Lost(self._redis)
        while True:
            await self._set_clock()
            await asyncio.sleep(LOOK_S)
            held = {one.entry: one for one in self._waiting.values() if one.entry is not None}
            try:
                found = [held[entry] for entry in await lost.look(list(held))]
            except RedisError:
                continue  # who cannot be reached may have lost nothing
            again = [one for one in found if not (one.left or one.said)]
            if again:
                log.warning("asks were lost and are put again", asks=len(again))
                with suppress(RedisError):
                    await self._redis.hincrby(RETRIES, "queue_lost", len(again))
            self._post(again)
            for one in found:
                if one.said:
                    one.heard.put_nowait(NoWorkerError("a part of the reply was lost"))

    async def _set_clock(self) -> None:
        """Hear the server's time: deadlines are read where the clock may be minutes off."""
        asked = time.monotonic()
        with suppress(RedisError):
            self._clock.hear(seconds(await self._redis.time()), asked=asked)

    def _hand_out(self, fields: Sequence[bytes]) -> None:
        try:
            replies = load_replies(fields[fields.index(b"replies") + 1])
        except (ValueError, TypeError, LookupError):  # a foreign message must not deafen us
            log.exception("a message in the mailbox cannot be read")
            return
        for reply in replies:
            waiting = self._waiting.get(reply.id)
            if waiting is not None:
                waiting.heard.put_nowait(reply)
