"""What one worker process holds open: settings, database, blobs, Redis; made on first use."""

import os
import secrets
import socket
from datetime import datetime
from functools import cache

from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from core.queue.broker import open_redis
from core.queue.doorbell import Doorbell
from core.settings import Settings
from core.storage.blobs import Blobs
from core.storage.clock import DatabaseClock
from core.storage.session import open_engine, open_sessions


@cache
def settings() -> Settings:
    """Return the settings of this process."""
    return Settings()


@cache
def engine() -> Engine:
    """Return connections to the database."""
    return open_engine(settings().database_url)


@cache
def sessions() -> sessionmaker[Session]:
    """Return the maker of database sessions."""
    return open_sessions(engine())


@cache
def blobs() -> Blobs:
    """Return the blob store."""
    return Blobs.open(settings().blobs_url)


@cache
def redis() -> Redis:
    """Return connections to Redis."""
    return open_redis(settings().redis_url)


@cache
def doorbell() -> Doorbell:
    """Return what wakes other workers."""
    return Doorbell(settings().redis_url)


@cache
def worker_name() -> str:
    """Return a name that no other worker has or had: host, process, and a word drawn once.

    A container that was killed comes back with the host and the process id that it had, and must
    not take the asks that its former self left unanswered for its own.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


@cache
def clock() -> DatabaseClock:
    """Return the clock of the database."""
    return DatabaseClock(engine())


def now() -> datetime:
    """Return this moment by the clock of the database."""
    return clock()()
