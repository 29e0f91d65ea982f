"""Signs of life: which of the workers that read the inbox is dead."""

import time
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from core.queue.messages import INBOX, INBOX_GROUP

BEAT_S = 0.5  # how often a worker says that it lives
CONSUMER_ALIVE_S = 3  # a worker silent for this long is dead; its asks go to another
SETTLE_S = 1.0  # after an outage, before anybody is taken for dead


def consumer_key(name: str) -> str:
    """Return the key that exists while the worker called ``name`` lives."""
    return f"malgil:consumer:{name}"


class Vitals:
    """The sign of life of one worker, and its eye on those of the others."""

    def __init__(self, redis: Redis, *, name: str) -> None:
        self._redis = redis
        self._name = name
        self._beats = False  # whether it has said that it lives
        self._settled = float("-inf")  # from when on a worker that is silent is dead

    def beat(self) -> None:
        """Say that this worker lives.

        Where its own sign of life has lapsed, others may have lapsed with it: they come first.
        """
        if not self._redis.set(consumer_key(self._name), 1, ex=CONSUMER_ALIVE_S, get=True):
            self._settled = time.monotonic() + SETTLE_S
        self._beats = True

    def dead(self) -> dict[str, int]:
        """Return the other workers that are silent, and how many asks each has left."""
        try:
            consumers: Any = self._redis.xinfo_consumers(INBOX, INBOX_GROUP)
        except ResponseError:  # no stream or no group yet: nothing was ever left
            return {}
        left = {one["name"].decode(): int(one["pending"]) for one in consumers}
        left.pop(self._name, None)
        silent = {name: count for name, count in left.items() if not self._lives(name)}
        # A server that was emptied has lost the signs of all, and then this one's, too.
        lapsed = self._beats and not self._lives(self._name)
        return {} if lapsed or time.monotonic() < self._settled else silent

    def _lives(self, name: str) -> bool:
        return bool(self._redis.exists(consumer_key(name)))
