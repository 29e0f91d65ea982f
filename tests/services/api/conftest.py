"""One application for each test: SQLite, a directory for blobs, a fake inbox and doorbell."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from sqlalchemy.orm import Session, sessionmaker

from core.queue.broker import open_async_redis
from core.settings import Settings
from core.storage.blobs import Blobs
from core.storage.clock import DatabaseClock
from core.storage.session import open_engine, open_sessions
from core.storage.tables import Base
from services.api.app import create_app
from services.api.resources import Opener, Resources
from tests.services.api.fakes import FakeDoorbell, FakeInbox, InProcess

NOW = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class House:
    """An application that runs, and what lies behind it."""

    app: FastAPI
    client: httpx.Client
    resources: Resources
    inbox: FakeInbox
    doorbell: FakeDoorbell

    @property
    def sessions(self) -> sessionmaker[Session]:
        return self.resources.sessions


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: that both databases behave alike is tested with the storage."""
    return f"sqlite:///{tmp_path / 'malgil.db'}"


@pytest.fixture
def redis_url(tmp_path: Path) -> str:
    """A broker that is down; a test that needs one names ``valkey_url`` here instead."""
    return f"unix://{tmp_path / 'nobody.sock'}"


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str) -> Settings:
    return Settings(
        home=tmp_path, database_url=database_url, redis_url=redis_url, upload_limit_mb=1
    )


@pytest.fixture
def inbox() -> FakeInbox:
    return FakeInbox()


@pytest.fixture
def doorbell() -> FakeDoorbell:
    return FakeDoorbell()


def open_house(inbox: FakeInbox, doorbell: FakeDoorbell) -> Opener:
    """Return what opens an empty database, a directory for blobs, and these fakes."""

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[Resources]:
        engine = open_engine(settings.database_url)
        Base.metadata.create_all(engine)
        redis = open_async_redis(settings.redis_url)
        yield Resources(
            settings=settings,
            sessions=open_sessions(engine),
            now=DatabaseClock(engine),
            blobs=Blobs.open(settings.blobs_url),
            redis=redis,
            inbox=inbox,
            doorbell=doorbell,
        )
        await redis.aclose()
        engine.dispose()

    return opened


@pytest.fixture
def house(settings: Settings, inbox: FakeInbox, doorbell: FakeDoorbell) -> Iterator[House]:
    app = create_app(settings, opener=open_house(inbox, doorbell))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
        httpx.Client(transport=InProcess(app, portal), base_url="http://malgil") as client,
    ):
        yield House(app, client, app.state.resources, inbox, doorbell)


@pytest.fixture
def client(house: House) -> httpx.Client:
    return house.client
