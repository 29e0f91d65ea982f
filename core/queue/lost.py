"""Asks that a server has lost: gone from the inbox, though no answer has come.

A server that was killed may forget its last second, one that was emptied forgets everything.
"""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from core.queue.messages import INBOX
from core.queue.scripts import MISSING


class Lost:
    """Looks for them now and then.

    An ask leaves the inbox in the moment in which its reply is posted. So whoever still waits at
    the next look, with the ask gone since the one before, waits for nothing.
    """

    def __init__(self, redis: Redis) -> None:
        self._missing = redis.register_script(MISSING)
        self._gone: frozenset[bytes] = frozenset()  # at the last look

    async def look(self, entries: Sequence[bytes]) -> frozenset[bytes]:
        """Return which of ``entries``, those that are waited for, are lost."""
        found: Any = await self._missing(keys=[INBOX], args=list(entries)) if entries else ()
        before, self._gone = self._gone, frozenset(found)
        return before & self._gone
