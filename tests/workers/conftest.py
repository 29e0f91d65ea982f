"""A worker process, played by the test process: its environment, and what it holds open."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from core.queue.broker import open_redis
from workers import runtime

HELD = (
    runtime.settings,
    runtime.engine,
    runtime.sessions,
    runtime.clock,
    runtime.blobs,
    runtime.redis,
    runtime.doorbell,
)


@pytest.fixture
def worker(
    database_url: str, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The environment of a worker; what one holds open is opened anew, and closed."""
    environment = {
        "MALGIL_HOME": str(tmp_path),
        "MALGIL_DATABASE_URL": database_url,
        "MALGIL_REDIS_URL": valkey_url,
        "MALGIL_BLOBS_URL": f"file://{tmp_path / 'blobs'}",
        "MALGIL_THREADS": "1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for held in HELD:
        held.cache_clear()
    yield
    runtime.engine().dispose()
    runtime.redis().close()
    runtime.doorbell().close()
    for held in HELD:
        held.cache_clear()


@pytest.fixture
def sessions(worker: None) -> sessionmaker[Session]:
    """The database of the worker."""
    return runtime.sessions()


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[Redis]:
    """The queue server as the test looks at it."""
    with open_redis(valkey_url) as client:
        yield client


@pytest.fixture
def messages(valkey: Redis) -> Callable[[str], int]:
    """How many messages wait in a queue of Celery."""
    return lambda queue: int(valkey.llen(f"malgil:celery:{queue}"))
