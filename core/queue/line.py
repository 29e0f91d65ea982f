"""A connection to Redis that one thread or task has to itself, for commands that come often.

A client takes a connection out of its pool for each command, looks whether it still works, and
tries again where it does not: that costs as much as the command. Here nothing is tried again, and
what goes wrong is a RedisError; the next command connects anew.
"""

from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

Word = str | bytes | int


class Line:
    """Commands whose sender may do something else before it reads the answer."""

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._connection: Any = None

    def send(self, *words: Word) -> None:
        """Send a command; the answer to the one before has been read."""
        if self._connection is None:
            self._connection = self._pool.get_connection()
        self._connection.send_command(*words)

    @property
    def is_back(self) -> bool:
        """Whether ``answer`` would not have to wait."""
        return bool(self._connection.can_read(timeout=0))

    def answer(self) -> Any:
        """Wait for the answer to the command that was sent, as Redis gives it."""
        return self._connection.read_response()


class AsyncLine:
    """Commands of a task, one after the other."""

    def __init__(self, redis: AsyncRedis) -> None:
        self._pool = redis.connection_pool
        self._connection: Any = None

    async def call(self, *words: Word) -> Any:
        """Return the answer to a command, as Redis gives it."""
        if self._connection is None:
            self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        await self._connection.send_command(*words)
        return await self._connection.read_response()
