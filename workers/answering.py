"""The thread of an inference worker that answers: asks join and leave while others are answered."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from redis.exceptions import RedisError

from core.queue.drain import Drain
from core.queue.messages import Ask, Reply

if TYPE_CHECKING:
    from core.pipelines.respond import Responder

log = structlog.get_logger()

READ_S = 0.005  # while it computes, new asks are looked for this often, but once a step at most
QUICK_S = 0.005  # after a quicker step nobody waits for Redis: the next one is taken meanwhile
LINGER_S = 0.1  # after the last answer, asks are listened for this long without a doorbell
RETRY_S = 0.2  # between two tries to reach the queue

Asks = list[tuple[Ask, float]]


class Answering:
    """Answers what is in the inbox whenever it is rung for, in a thread that a first ring starts.

    Nobody else touches the responder, so asks that are being answered outlive whoever rang, and
    the threads of the worker stay free for its other messages.
    """

    def __init__(
        self, inbox: Drain, responder: Callable[[], "Responder"], *, limit: Callable[[], int]
    ) -> None:
        """``responder`` may take its time at the first call; ``limit`` asks are held at most."""
        self._inbox = inbox
        self._open = responder
        self._limit = limit
        self._outbox: list[tuple[Ask, Reply]] = []  # what has not been posted yet
        self._away: list[tuple[Ask, Reply]] | None = None  # what is on its way, if a trip is
        self._read = self._moved = 0.0  # when that was last done, by the monotonic clock
        self._rung = threading.Event()
        self._closing = threading.Event()
        self._resting = True
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        """Say that asks may be waiting; does not wait for anything."""
        self._rung.set()
        with self._starting:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._live, name="answering", daemon=True)
                self._thread.start()

    def is_well(self, within_s: float) -> bool:
        """Whether it rests, or has moved on lately."""
        if self._thread is None:
            return True
        moves = self._resting or time.monotonic() - self._moved < within_s
        return moves and self._thread.is_alive()

    def stop(self) -> None:
        """Read no more asks; those that are being answered are answered."""
        self._closing.set()
        self._rung.set()

    def close(self, timeout_s: float) -> bool:
        """``stop``, and wait until it has; False where there was nothing to stop."""
        self.stop()
        if self._thread is None:
            return False
        self._thread.join(timeout_s)
        return True

    def _live(self) -> None:
        responder = self._open()
        while True:
            self._rung.wait()
            self._rung.clear()
            self._moved, self._resting = time.monotonic(), False
            try:
                self._answer(responder)
            except RedisError as error:
                log.warning("the inbox cannot be reached", error=str(error))
                left = self._outbox or self._away or responder.busy
                if left or self._inbox.may_have_lost:  # whatever else waits, the sweep rings for
                    time.sleep(RETRY_S)
                    self._rung.set()
            except Exception:
                log.exception("answering failed")
            self._resting = True
            if self._closing.is_set() and not self._rung.is_set():
                return

    def _answer(self, responder: "Responder") -> None:
        """Answer whatever waits, and what comes meanwhile, until nobody asks any more."""
        room = self._room(responder)
        asks = self._come_back(responder, waits=True)  # what a failure has left under way
        asks += self._inbox.begin(max(room - len(asks), 0))
        asks += self._inbox.claim(max(room - len(asks), 0))
        while asks or self._outbox or responder.busy:
            began = time.monotonic()
            responder.admit(asks, self._outbox.extend)
            responder.step(self._outbox.extend)
            self._moved = time.monotonic()
            asks = self._exchanged(responder, waits=self._moved - began > QUICK_S)
            if not (asks or responder.busy or self._closing.is_set()):
                asks = self._inbox.linger(self._limit(), LINGER_S)
                self._read = time.monotonic()

    def _exchanged(self, responder: "Responder", *, waits: bool) -> Asks:
        """Post what is to be posted, and return what has come in; seldom, if there is nothing.

        It ``waits`` for what comes in, or leaves it to be asked for after the next step.
        """
        waits = waits or not responder.busy
        asks = self._come_back(responder, waits=waits)
        if self._away is None and (self._outbox or self._moved - self._read >= READ_S):
            self._inbox.depart(self._outbox, max(self._room(responder) - len(asks), 0))
            self._away, self._outbox = self._outbox, []
            self._read = time.monotonic()
            if waits:
                asks += self._come_back(responder, waits=True)
        return asks

    def _come_back(self, responder: "Responder", *, waits: bool) -> Asks:
        """Return what the trip that is under way brings, if it is over or one ``waits`` for it."""
        if self._away is None or not (waits or self._inbox.is_back):
            return []
        posted, self._away = self._away, None
        try:
            asks, gone = self._inbox.arrive()
        except RedisError:
            self._outbox = posted + self._outbox  # heard twice, it is taken once
            raise
        responder.give_up(gone, self._outbox.extend, reason="nobody waits for the reply any more")
        return asks + self._inbox.claim(max(self._room(responder) - len(asks), 0))

    def _room(self, responder: "Responder") -> int:
        """Return how many more asks may be held."""
        return 0 if self._closing.is_set() else max(self._limit() - responder.asks, 0)
