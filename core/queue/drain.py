"""The answering side of the reply way: read asks in batches, post replies, lose nothing.

An ask stays in the stream until its final reply is posted; both happen in one transaction.
What a dead worker left unanswered is claimed by the next one that drains.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError

from core.errors import NoWorkerError
from core.queue.broker import ALIVE_S
from core.queue.messages import (
    BELL,
    BELL_MS,
    GIVEN_UP,
    INBOX,
    INBOX_GROUP,
    INFERENCE_QUEUE,
    Ask,
    Reply,
    alive_key,
    dump_replies,
    replies_key,
)

log = structlog.get_logger()

MAILBOX_EXPIRES_S = 60
MAILBOX_LENGTH = 10_000
CONSUMER_ALIVE_S = 5  # a worker silent for this long is dead; its asks go to another
CLAIM_S = 1.0  # how often dead workers are looked for
MAX_DELIVERIES = 3  # an ask that was in the hands of so many dying workers is refused


def consumer_key(name: str) -> str:
    """Return the key that exists while the worker called ``name`` lives."""
    return f"malgil:consumer:{name}"


class Drain:
    """One worker's hold on the inbox; ``name`` is its own among all workers."""

    def __init__(self, redis: "Redis", *, name: str) -> None:
        self._redis = redis
        self._name = name
        self._entries: dict[str, bytes] = {}  # ask id -> entry in the stream
        self._looked = float("-inf")  # when dead workers were last looked for
        self._gone = b"0"  # entry of the last ask that was heard of as given up
        self._silence = False  # whether the next trip silences the bell

    def beat(self) -> None:
        """Say that this worker lives."""
        self._redis.set(consumer_key(self._name), 1, ex=CONSUMER_ALIVE_S)

    def begin(self, count: int) -> list[tuple[Ask, float]]:
        """Silence the bell, then read; an ask that comes in between rings again."""
        self._silence = True
        return self.exchange((), count)[0]

    def linger(self, count: int, wait_s: float) -> list[tuple[Ask, float]]:
        """Wait a little for more asks; none came where the list is empty.

        Meanwhile the bell stays up: nobody needs to ring for a worker that is listening. It is
        silenced with the next trip, so that asks which come then wake other workers.
        """
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(BELL, 1, px=BELL_MS)
            self._silence = True
            pipe.xreadgroup(*self._fresh, count=count, block=int(wait_s * 1e3))
            heard = pipe.execute(raise_on_error=False)[-1]
        return self._asks(heard, count) or self.begin(count)

    def exchange(
        self, replies: Sequence[tuple[Ask, Reply]], count: int
    ) -> tuple[list[tuple[Ask, float]], list[str]]:
        """Post ``replies`` as ``send`` does, and look for what is new, in one trip.

        Return up to ``count`` new asks with their arrival in Unix seconds, and the ids of asks that
        nobody waits for any more. Does not wait.
        """
        with self._redis.pipeline(transaction=True) as pipe:
            ended = self._post(pipe, replies)
            pipe.xread({GIVEN_UP: self._gone})
            if count:
                pipe.xreadgroup(*self._fresh, count=count)
            said = pipe.execute(raise_on_error=False)
        heard = said.pop() if count else None
        for answer in said:
            if isinstance(answer, Exception):
                raise answer
        self._forget(ended)
        return self._asks(heard, count), self._given_up(said[-1])

    def claim(self, count: int) -> list[tuple[Ask, float]]:
        """Return up to ``count`` asks that dead workers left unanswered; looks now and then."""
        if time.monotonic() - self._looked < CLAIM_S:
            return []
        self._looked = time.monotonic()
        try:
            consumers = self._redis.xinfo_consumers(INBOX, INBOX_GROUP)
        except ResponseError:  # no stream or no group yet: nothing was ever left
            return []
        taken: list[tuple[Ask, float]] = []
        for consumer in consumers:
            name = consumer["name"].decode()
            if name == self._name or self._redis.exists(consumer_key(name)):
                continue
            if consumer["pending"] == 0:
                self._redis.xgroup_delconsumer(INBOX, INBOX_GROUP, name)
            elif len(taken) < count:
                taken += self._claim_from(name, count - len(taken))
        return taken

    def send(self, replies: Sequence[tuple[Ask, Reply]]) -> None:
        """Post ``replies``; with its final one an ask leaves the inbox, in the same transaction."""
        with self._redis.pipeline(transaction=True) as pipe:
            ended = self._post(pipe, replies)
            pipe.execute()
        self._forget(ended)

    @property
    def _fresh(self) -> tuple[str, str, dict[Any, Any]]:
        """What no worker has read yet, as XREADGROUP wants it said."""
        return INBOX_GROUP, self._name, {INBOX: ">"}

    def _post(self, pipe: Pipeline, replies: Sequence[tuple[Ask, Reply]]) -> list[str]:
        """Add what posts ``replies`` to ``pipe``; return the ids of the asks that end with it."""
        by_mailbox: dict[str, list[Reply]] = defaultdict(list)
        for ask, reply in replies:
            by_mailbox[ask.mailbox].append(reply)
        if self._silence:
            pipe.delete(BELL)
            self._silence = False
        for mailbox, batch in by_mailbox.items():
            key = replies_key(mailbox)
            pipe.xadd(
                key, {"replies": dump_replies(batch)}, maxlen=MAILBOX_LENGTH, approximate=True
            )
            pipe.expire(key, MAILBOX_EXPIRES_S)
        ended = [ask.id for ask, reply in replies if reply.final and ask.id in self._entries]
        if ended:
            entries = [self._entries[id_] for id_ in ended]
            pipe.xack(INBOX, INBOX_GROUP, *entries)
            pipe.xdel(INBOX, *entries)
            pipe.set(alive_key(INFERENCE_QUEUE), self._name, ex=int(ALIVE_S))
        return ended

    def _forget(self, ended: Sequence[str]) -> None:
        for id_ in ended:
            self._entries.pop(id_, None)

    def _asks(self, heard: Any, count: int) -> list[tuple[Ask, float]]:
        """Take what was read; a stream that is not there yet, or no longer, is made."""
        if isinstance(heard, ResponseError) and "NOGROUP" in str(heard):
            self._make_group()
            heard = self._redis.xreadgroup(*self._fresh, count=count)
        if isinstance(heard, Exception):
            raise heard
        return self._taken([entry for _, entries in heard or () for entry in entries])

    def _given_up(self, heard: Any) -> list[str]:
        """Return the ids of asks that were given up since the last time."""
        entries = [entry for _, entries in heard or () for entry in entries]
        if entries:
            self._gone = entries[-1][0]
        return [fields[b"ask"].decode() for _, fields in entries]

    def _make_group(self) -> None:
        try:
            self._redis.xgroup_create(INBOX, INBOX_GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _claim_from(self, name: str, count: int) -> list[tuple[Ask, float]]:
        left: Any = self._redis.xpending_range(
            INBOX, INBOX_GROUP, min="-", max="+", count=count, consumername=name
        )
        if not left:
            return []
        times = {one["message_id"]: one["times_delivered"] for one in left}
        entries: Any = self._redis.xclaim(INBOX, INBOX_GROUP, self._name, 0, list(times))
        log.warning("took over the asks of a dead worker", worker=name, asks=len(entries))
        fresh = []
        for ask, arrived in self._taken(entries):
            reason = _why_not_again(ask, times.get(self._entries[ask.id], 0))
            if reason:
                self.send([(ask, Reply(id=ask.id, error=NoWorkerError.__name__, message=reason))])
            else:
                fresh.append((ask, arrived))
        return fresh

    def _taken(
        self, entries: Sequence[tuple[bytes, dict[bytes, bytes]]]
    ) -> list[tuple[Ask, float]]:
        asks = []
        for entry, fields in entries:
            if not fields:  # taken back by the asker after it was delivered
                self._redis.xack(INBOX, INBOX_GROUP, entry)
                continue
            ask = Ask.load(fields[b"ask"])
            self._entries[ask.id] = entry
            asks.append((ask, int(entry.split(b"-")[0]) / 1e3))
        return asks


def _why_not_again(ask: Ask, deliveries: int) -> str:
    """Return why an ask that a worker died over is not answered by another; empty if it is."""
    if ask.stream:  # its first pieces may have been heard, and nobody should hear them twice
        return "the worker died in the middle of the reply"
    if deliveries >= MAX_DELIVERIES:
        return f"{deliveries} workers died with this ask in hand"
    return ""
