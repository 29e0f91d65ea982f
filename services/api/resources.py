"""What one API process holds open, and how that is opened and closed."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Unpack

from anyio.to_thread import current_default_thread_limiter
from redis.asyncio import Redis
from sqlalchemy.orm import Session, sessionmaker

from core.queue.broker import open_async_redis
from core.queue.doorbell import Doorbell as CeleryDoorbell
from core.queue.inbox import Asked
from core.queue.inbox import Inbox as RedisInbox
from core.queue.messages import Reply
from core.settings import Settings
from core.storage.blobs import Blobs
from core.storage.clock import DatabaseClock
from core.storage.session import open_engine, open_sessions

THREADS = 200  # most of them wait for the model in a conversation; the database has its own limit


class Inbox(Protocol):
    """Where asks go in and replies come out."""

    async def ask(self, *, timeout_s: float, priority: int = 0, **asked: Unpack[Asked]) -> Reply:
        """Return the whole reply, or raise what the inbox or the worker refused it with."""
        ...

    def stream(self, *, timeout_s: float, **asked: Unpack[Asked]) -> AsyncIterator[Reply]:
        """Yield pieces as they come, then the whole reply."""
        ...


class Doorbell(Protocol):
    """How job workers are woken."""

    def ring_jobs(self) -> None:
        """Say that a job may be waiting; a broker that is down is no error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one API process holds open."""

    settings: Settings
    sessions: sessionmaker[Session]
    now: Callable[[], datetime]  # by the clock of the database
    blobs: Blobs
    redis: Redis
    inbox: Inbox
    doorbell: Doorbell


Opener = Callable[[Settings], AbstractAsyncContextManager[Resources]]


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open everything; neither database nor broker has to be up for that."""
    current_default_thread_limiter().total_tokens = THREADS
    engine = open_engine(settings.database_url)
    redis = open_async_redis(settings.redis_url)
    doorbell = CeleryDoorbell(settings.redis_url)
    inbox = RedisInbox(redis, bell=doorbell, limit=settings.inbox_limit)
    await inbox.open()
    try:
        yield Resources(
            settings=settings,
            sessions=open_sessions(engine),
            now=DatabaseClock(engine),
            blobs=Blobs.open(settings.blobs_url),
            redis=redis,
            inbox=inbox,
            doorbell=doorbell,
        )
    finally:
        await inbox.close()
        await redis.aclose()
        doorbell.close()
        engine.dispose()
