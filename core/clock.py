"""The time of a server: clocks of hosts differ, and what one writes by its own another compares."""

import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

AGAIN_S = 30.0  # how long a server's time is reckoned before it is asked for again
TRIP_S = 0.5  # an answer that took longer says little: it is taken only where there is no other


class Clock:
    """Tells the time of a server, in Unix seconds, which it hears from it now and then.

    In between, and while the server is silent, its time goes on by the monotonic clock of this
    process. Before anything was heard it is the time of this host.
    """

    def __init__(self) -> None:
        self._ahead: float | None = None  # of the monotonic clock
        self._due = float("-inf")  # when the server is to be asked, by the monotonic clock

    def __call__(self) -> float:
        """Return the time."""
        return time.time() if self._ahead is None else time.monotonic() + self._ahead

    @property
    def is_due(self) -> bool:
        """Whether the server should be asked for its time."""
        return time.monotonic() >= self._due

    def hear(self, there: float, *, asked: float) -> None:
        """Take it that the server's time was ``there`` midway between ``asked`` and now.

        ``asked`` is a moment of the monotonic clock.
        """
        now = time.monotonic()
        self._due = now + AGAIN_S
        if self._ahead is None or now - asked <= TRIP_S:
            self._ahead = there - (asked + now) / 2

    def ask(self, question: Callable[[], float]) -> None:
        """Hear what ``question`` returns; whatever is wrong with the server, time goes on."""
        asked = time.monotonic()
        try:
            there = question()
        except Exception as error:  # of a driver that this module need not know
            log.warning("a server could not be asked for its time", reason=str(error))
            self._due = time.monotonic() + AGAIN_S
        else:
            self.hear(there, asked=asked)
