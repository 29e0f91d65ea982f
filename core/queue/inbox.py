"""The asking side of the reply way: an ask goes into the inbox, its reply comes back here.

Each asking process has one mailbox, a Redis stream, and one listener that hands what arrives
there to whoever waits for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NotRequired, Protocol, TypedDict, TypeVar, Unpack
from uuid import uuid4

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core import errors
from core.errors import InboxFullError, MalgilError, NoWorkerError, ReplyTimeoutError
from core.queue.messages import (
    BELL,
    BELL_MS,
    GIVEN_UP,
    INBOX,
    INFERENCE_QUEUE,
    Ask,
    Reply,
    alive_key,
    load_replies,
    replies_key,
)

log = structlog.get_logger()

T = TypeVar("T")

LISTEN_MS = 1000
GIVEN_UP_LENGTH = 1000  # about so many of the newest are remembered ...
GIVEN_UP_EXPIRES_S = 300  # ... for this long
GRACE_S = 0.25  # the worker, who also knows the deadline, gets this long to say so itself

# One round trip: refuse when nobody lives or too many wait, else add the ask and say whether
# a bell is on its way already.
PUT = """
if redis.call('EXISTS', KEYS[3]) == 0 then return {'silent'} end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return {'full'} end
local entry = redis.call('XADD', KEYS[1], '*', 'ask', ARGV[2])
local first = redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3])
return {'put', entry, first and 1 or 0}
"""


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
        self._mailbox = uuid4().hex
        self._waiting: dict[str, asyncio.Queue[Reply]] = {}
        self._put = redis.register_script(PUT)
        self._listener: asyncio.Task[None] | None = None
        self._ringing: set[asyncio.Future[None]] = set()

    async def open(self) -> None:
        """Start to listen for replies."""
        self._listener = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Stop listening; whoever still waits is told so."""
        while self._listener is not None and not self._listener.done():
            self._listener.cancel()  # again and again: a client in mid-reconnect swallows it
            await asyncio.wait({self._listener}, timeout=0.1)
        for ask_id, waiting in self._waiting.items():
            gone = Reply(id=ask_id, error=NoWorkerError.__name__, message="the server is closing")
            waiting.put_nowait(gone)

    async def ask(self, *, timeout_s: float, priority: int = 0, **asked: Unpack[Asked]) -> Reply:
        """Return the whole reply.

        Raises InboxFullError, NoWorkerError or ReplyTimeoutError, or what the worker refused
        the ask with (NotFoundError for an unknown model, SpecError for a wrong option).
        """
        ask = self._ask(timeout_s, asked, priority=priority)
        async for reply in self._exchange(ask, timeout_s):
            if reply.final:
                return reply
        raise ReplyTimeoutError("the reply never ended")

    def stream(self, *, timeout_s: float, **asked: Unpack[Asked]) -> AsyncIterator[Reply]:
        """Yield pieces as they become certain, then the whole reply; raises as ``ask`` does."""
        return self._exchange(self._ask(timeout_s, asked, stream=True), timeout_s)

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
            deadline=time.time() + timeout_s,
        )

    async def _exchange(self, ask: Ask, timeout_s: float) -> AsyncIterator[Reply]:
        waiting = self._waiting[ask.id] = asyncio.Queue()
        until = asyncio.get_running_loop().time() + timeout_s + GRACE_S
        entry = None
        answered = False
        said = 0  # characters
        try:
            entry = await _before(until, self._send(ask))
            while not answered:
                reply = await _before(until, waiting.get())
                answered = reply.final
                if reply.error is not None:
                    raise _error(reply)
                if reply.begins > said:
                    raise NoWorkerError("a part of the reply was lost")
                if reply.piece is not None and reply.begins == said:  # else posted a second time
                    said += len(reply.piece)
                    yield reply
            yield reply
        except TimeoutError:
            raise ReplyTimeoutError(f"no reply within {timeout_s:g} s") from None
        finally:
            del self._waiting[ask.id]
            if entry is not None and not answered:
                await self._take_back(ask.id, entry)

    async def _send(self, ask: Ask) -> str:
        """Put ``ask`` into the inbox and ring if nobody has; returns its entry there."""
        try:
            answer = await self._put(
                keys=[INBOX, BELL, alive_key(INFERENCE_QUEUE)],
                args=[self._limit, ask.dump(), BELL_MS],
            )
        except RedisError as error:
            raise NoWorkerError(f"the queue cannot be reached: {error}") from error
        said = answer[0].decode()
        if said == "silent":
            raise NoWorkerError("no inference worker is alive")
        if said == "full":
            raise InboxFullError(f"{self._limit} asks are waiting already")
        if answer[2]:
            ringing = asyncio.get_running_loop().run_in_executor(None, self._bell.ring_inbox)
            self._ringing.add(ringing)
            ringing.add_done_callback(self._ringing.discard)
        return str(answer[1].decode())

    async def _take_back(self, ask_id: str, entry: str) -> None:
        """Remove an ask nobody waits for any more; who works on it already is told to stop."""
        with suppress(RedisError, asyncio.CancelledError):
            await asyncio.shield(self._give_up(ask_id, entry))

    async def _give_up(self, ask_id: str, entry: str) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.xdel(INBOX, entry)
            pipe.xadd(GIVEN_UP, {"ask": ask_id}, maxlen=GIVEN_UP_LENGTH, approximate=True)
            pipe.expire(GIVEN_UP, GIVEN_UP_EXPIRES_S)
            await pipe.execute()

    async def _listen(self) -> None:
        """Hand every reply in the mailbox to whoever waits for it, for ever."""
        key, last = replies_key(self._mailbox), "0"
        while True:
            try:
                heard: Any = await self._redis.xread({key: last}, block=LISTEN_MS)
            except RedisError as error:
                log.warning("the mailbox cannot be reached", error=str(error))
                await asyncio.sleep(0.2)
                continue
            for _, entries in heard or ():
                for entry, fields in entries:
                    last = entry
                    self._hand_out(fields)

    def _hand_out(self, fields: Mapping[bytes, bytes]) -> None:
        try:
            replies = load_replies(fields[b"replies"])
        except (ValueError, TypeError, KeyError):  # a foreign message must not deafen us
            log.exception("a message in the mailbox cannot be read")
            return
        for reply in replies:
            waiting = self._waiting.get(reply.id)
            if waiting is not None:
                waiting.put_nowait(reply)


async def _before(until: float, what: Awaitable[T]) -> T:
    """Await ``what`` until that moment of the loop's clock; raises TimeoutError after it."""
    async with asyncio.timeout_at(until):
        return await what


def _error(reply: Reply) -> MalgilError:
    """Return the error that a worker named, as itself."""
    kind = getattr(errors, reply.error or "", MalgilError)
    message = reply.message or "the worker gave no reason"
    if kind is errors.NotFoundError:
        return errors.NotFoundError("model", message)
    refused: MalgilError = kind(message)
    if isinstance(refused, errors.InputError):
        refused.field = reply.field
    return refused
