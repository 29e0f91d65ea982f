"""Waiting for what is down: a database or blob store that comes back is no reason to give up."""

import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.errors import UnavailableError
from core.pipelines.lease import Lease

log = structlog.get_logger()

DOWN = (UnavailableError, OperationalError, PoolTimeoutError)  # trying again can help
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # between two tries; the last one repeats
LOOK_S = 0.1  # how often a pause looks whether it is still worth waiting

Done = TypeVar("Done")


class Patience:
    """Does a piece of work again and again while what it needs is down, and tells of it.

    ``tell`` is given words for the reader of the job; it may fail for the same reason. No longer
    than ``limit_s``, and only while the lease is ours, nobody wants the job to stop or rest, and
    ``leaving`` says that the process is to stay.
    """

    def __init__(
        self,
        lease: Lease,
        *,
        limit_s: float,
        leaving: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        self._lease = lease
        self._limit_s = limit_s
        self._leaving = leaving
        self._tell = tell

    def through(self, work: Callable[[], Done]) -> Done:
        """Return what ``work`` returns at last.

        Raises its own error where a retry cannot help, or not in time; and LeaseLostError.
        """
        began, reason = time.monotonic(), ""
        for tries in count():
            try:
                done = work()
            except DOWN as error:
                if not self._is_worth_waiting(began):
                    raise
                if not reason:
                    reason = reason_of(error)
                    self._say(f"waits: {reason}")
                self._pause(PAUSES_S[min(tries, len(PAUSES_S) - 1)], began)
                continue
            if reason:
                self._say(f"goes on after {time.monotonic() - began:.1f} s: {reason}")
            return done
        raise AssertionError("counting never ends")

    def _is_worth_waiting(self, began: float) -> bool:
        self._lease.check()
        unwanted = self._lease.cancelled or self._lease.paused or self._leaving()
        return not unwanted and time.monotonic() - began < self._limit_s

    def _pause(self, seconds: float, began: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._is_worth_waiting(began):
            time.sleep(LOOK_S)

    def _say(self, words: str) -> None:
        log.warning("a part is down", words=words)
        try:
            self._tell(words)
        except DOWN as error:  # the part that is down may be the one that keeps what is told
            log.warning("that could not be told", reason=reason_of(error))


def reason_of(error: Exception) -> str:
    """Return what is down, in a line; a database says it at length, with the statement."""
    if isinstance(error, DBAPIError):
        return f"The database failed: {str(error.orig).strip().partition(chr(10))[0]}"
    if isinstance(error, PoolTimeoutError):
        return "The database failed: no connection came free in time."
    return str(error)
