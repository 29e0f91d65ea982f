"""The answering side of the reply way: read asks in batches, post replies, lose nothing.

An ask stays in the stream until its final reply is posted; both happen in one script.
What a dead worker left unanswered is claimed by the next one that drains.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from core.clock import Clock
from core.errors import NoWorkerError
from core.queue.broker import ALIVE_S, seconds
from core.queue.line import Line, Word
from core.queue.messages import (
    BELL,
    BELL_MS,
    GIVEN_UP,
    INBOX,
    INBOX_GROUP,
    INFERENCE_QUEUE,
    RETRIES,
    Ask,
    Reply,
    alive_key,
    dump_replies,
    replies_key,
)
from core.queue.scripts import EXCHANGE, EXCHANGE_SHA
from core.queue.vitals import Vitals

log = structlog.get_logger()

MAILBOX_EXPIRES_S = 60
MAILBOX_LENGTH = 10_000
CLAIM_S = 0.5  # how often dead workers are looked for
QUIET_S = 0.01  # asks that were listened for keep the bell up this long: most are answered by then
MAX_DELIVERIES = 3  # an ask that was in the hands of so many dying workers is refused


@dataclass(frozen=True, slots=True)
class _Away:
    """An exchange that was begun, and what is true once it has ended."""

    words: tuple[Word, ...]
    count: int  # asks that it may bring
    ended: list[str]  # asks that it takes out of the inbox
    silences: bool  # the bell


class Drain:
    """One worker's hold on the inbox; ``name`` is its own among all workers."""

    def __init__(self, redis: "Redis", *, name: str) -> None:
        self._redis = redis
        self._name = name
        self.clock = Clock()  # by which asks arrive and are too late
        self._entries: dict[str, bytes] = {}  # ask id -> entry in the stream
        self._looked = float("-inf")  # when dead workers were last looked for
        self._vitals = Vitals(redis, name=name)
        self._gone = b"0"  # entry of the last ask that was heard of as given up
        self._line = Line(redis)
        self._away: _Away | None = None  # the exchange that was begun
        self._lost = False  # whether asks may have been read with an answer that never arrived
        self._raised = float("-inf")  # when this worker last put the bell up
        self._silent = float("inf")  # from when on a trip silences the bell

    def beat(self) -> None:
        """Say that this worker lives, and hear from the server now and then what time it is."""
        self._vitals.beat()
        if self.clock.is_due:
            self.clock.ask(lambda: seconds(self._redis.time()))

    def somebody_died(self) -> bool:
        """Whether a dead worker left asks unanswered."""
        return any(self._vitals.dead().values())

    def begin(self, count: int) -> list[tuple[Ask, float]]:
        """Silence the bell, then read; an ask that comes in between rings again."""
        self._silent = float("-inf")
        return self.exchange((), count)[0]

    def linger(self, count: int, wait_s: float) -> list[tuple[Ask, float]]:
        """Wait a little for more asks; none came where the list is empty.

        Meanwhile the bell stays up: nobody needs to ring for a worker that is listening. A trip
        soon after silences it, so that asks which come then wake other workers.
        """
        self._raise_bell()
        self._line.send(*self._fresh(count), "BLOCK", int(wait_s * 1e3), "STREAMS", INBOX, ">")
        try:
            heard = self._heard()
        except ResponseError as error:
            heard = error
        finally:
            self._silent = time.monotonic() + QUIET_S
        return self._asks(heard, count) or self.begin(count)

    def exchange(
        self, replies: Sequence[tuple[Ask, Reply]], count: int
    ) -> tuple[list[tuple[Ask, float]], list[str]]:
        """Post ``replies`` as ``send`` does, and look for what is new, in one trip.

        Return up to ``count`` new asks, each with its arrival in seconds of ``clock``, and the ids
        of asks that nobody waits for any more. Does not wait.
        """
        self.depart(replies, count)
        return self.arrive()

    def depart(self, replies: Sequence[tuple[Ask, Reply]], count: int) -> None:
        """Begin what ``exchange`` does; ``arrive`` ends it, and nothing else is begun before."""
        self._away = self._sent(replies, count)

    @property
    def may_have_lost(self) -> bool:
        """Whether asks may have been read that never arrived; ``claim`` brings them."""
        return self._lost

    @property
    def is_back(self) -> bool:
        """Whether ``arrive`` would not have to wait."""
        return self._away is not None and self._line.is_back

    def arrive(self) -> tuple[list[tuple[Ask, float]], list[str]]:
        """Return what the exchange that was begun brings."""
        away, self._away = self._away, None
        if away is None:
            return [], []
        gone, heard = self._answer(away)
        return self._asks(heard, away.count), self._given_up(gone)

    def claim(self, count: int) -> list[tuple[Ask, float]]:
        """Return up to ``count`` asks that dead workers left unanswered; looks now and then.

        Asks that this worker read with an answer that never arrived come first, and at once.
        """
        if self._lost and count:
            return self._found_again(count)
        if time.monotonic() - self._looked < CLAIM_S:
            return []
        self._looked = time.monotonic()
        taken: list[tuple[Ask, float]] = []
        for name, left in self._vitals.dead().items():
            if not left:
                self._redis.xgroup_delconsumer(INBOX, INBOX_GROUP, name)
            elif len(taken) < count:
                taken += self._claim_from(name, count - len(taken))
        return taken

    def send(self, replies: Sequence[tuple[Ask, Reply]]) -> None:
        """Post ``replies``; with its final one an ask leaves the inbox, in the same moment."""
        self._answer(self._sent(replies, 0))

    def _sent(self, replies: Sequence[tuple[Ask, Reply]], count: int) -> "_Away":
        """Send ``replies`` off, to come back with up to ``count`` asks."""
        by_mailbox: dict[str, list[Reply]] = defaultdict(list)
        for ask, reply in replies:
            by_mailbox[ask.mailbox].append(reply)
        ended = [ask.id for ask, reply in replies if reply.final and ask.id in self._entries]
        silences = time.monotonic() >= self._silent
        mailboxes = [replies_key(mailbox) for mailbox in by_mailbox]
        keys = [INBOX, BELL, GIVEN_UP, alive_key(INFERENCE_QUEUE), *mailboxes]
        group: list[Word] = [INBOX_GROUP, self._name, count, self._gone, int(silences)]
        limits = (MAILBOX_LENGTH, MAILBOX_EXPIRES_S, int(ALIVE_S))
        words: tuple[Word, ...] = (
            len(keys),
            *keys,
            *group,
            *limits,
            *(dump_replies(batch) for batch in by_mailbox.values()),
            *(self._entries[id_] for id_ in ended),
        )
        self._line.send("EVALSHA", EXCHANGE_SHA, *words)
        return _Away(words, count, ended, silences)

    def _answer(self, away: "_Away") -> tuple[Any, Any]:
        """Return what was read of asks given up, and of new ones."""
        try:
            gone, heard = self._heard()
        except NoScriptError:  # the first time, and after a restart
            self._line.send("EVAL", EXCHANGE, *away.words)
            gone, heard = self._heard()
        if away.silences:
            self._raised, self._silent = float("-inf"), float("inf")
        for id_ in away.ended:
            self._entries.pop(id_, None)
        return gone, ResponseError(heard.decode()) if isinstance(heard, bytes) else heard

    def _heard(self) -> Any:
        """Return the answer to what was sent; where there is none, asks may be lost with it."""
        try:
            return self._line.answer()
        except RedisError as error:
            self._lost = self._lost or not isinstance(error, ResponseError)
            raise

    def _found_again(self, count: int) -> list[tuple[Ask, float]]:
        """Return up to ``count`` asks that this worker has by name and not in hand."""
        known = set(self._entries.values())
        heard: Any = self._redis.xreadgroup(
            INBOX_GROUP, self._name, {INBOX: "0"}, count=len(known) + count
        )
        left = [(entry, fields or {}) for _, held in heard for entry, fields in held]
        lost = [one for one in left if one[0] not in known]
        self._lost = len(lost) > count
        if lost:
            log.warning("took up asks that were lost on their way", asks=len(lost))
        return self._taken(lost[:count])

    def _raise_bell(self) -> None:
        """Put the bell up, unless it is up and stays so for a while."""
        if time.monotonic() - self._raised > BELL_MS / 2e3:
            self._redis.set(BELL, 1, px=BELL_MS)
            self._raised = time.monotonic()

    def _fresh(self, count: int) -> tuple[Word, ...]:
        """Ask for up to ``count`` asks that no worker has read yet; which stream is to follow."""
        return "XREADGROUP", "GROUP", INBOX_GROUP, self._name, "COUNT", count

    def _asks(self, heard: Any, count: int) -> list[tuple[Ask, float]]:
        """Take what was read; a stream that is not there yet, or no longer, is made."""
        if isinstance(heard, ResponseError) and "NOGROUP" in str(heard):
            self._make_group()
            self._line.send(*self._fresh(count), "STREAMS", INBOX, ">")
            heard = self._line.answer()
        if isinstance(heard, Exception):
            raise heard
        return self._taken(_entries(heard))

    def _given_up(self, heard: Any) -> list[str]:
        """Return the ids of asks that were given up since the last time."""
        entries = _entries(heard)
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
        self._redis.hincrby(RETRIES, "worker_died", len(entries))
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
            before = self._entries.get(ask.id)
            self._entries[ask.id] = entry
            if before is not None:  # in hand already
                if before != entry:  # put a second time
                    self._redis.xack(INBOX, INBOX_GROUP, before)
                    self._redis.xdel(INBOX, before)
                continue
            asks.append((ask, int(entry.split(b"-")[0]) / 1e3))
        return asks


def _entries(heard: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Return what was read of one stream."""
    return [
        (entry, dict(zip(fields[::2], fields[1::2], strict=True)))
        for _, entries in heard or ()
        for entry, fields in entries
    ]


def _why_not_again(ask: Ask, deliveries: int) -> str:
    """Return why an ask that a worker died over is not answered by another; empty if it is."""
    if ask.stream:  # its first pieces may have been heard, and nobody should hear them twice
        return "the worker died in the middle of the reply"
    if deliveries >= MAX_DELIVERIES:
        return f"{deliveries} workers died with this ask in hand"
    return ""
