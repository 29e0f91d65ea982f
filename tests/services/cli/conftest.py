"""The real API on a real port, on SQLite and a fake inbox, and the command in this process."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.settings import Settings
from core.storage.session import open_engine, open_sessions
from services.api.app import create_app
from services.cli.main import run
from tests.services.api.conftest import open_house
from tests.services.api.fakes import FakeDoorbell, FakeInbox
from tests.services.api.serving import served


@dataclass(frozen=True)
class Server:
    """What the commands talk to, and what lies behind it."""

    url: str
    sessions: sessionmaker[Session]
    inbox: FakeInbox
    doorbell: FakeDoorbell


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed as JSON, which is one line."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """What it printed as JSON, line by line."""
        return [json.loads(line) for line in self.out.splitlines()]


Malgil = Callable[..., Ran]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    inbox, doorbell = FakeInbox(), FakeDoorbell()
    settings = Settings(home=tmp_path, redis_url=f"unix://{tmp_path / 'nobody.sock'}")
    with served(create_app(settings, opener=open_house(inbox, doorbell))) as url:
        monkeypatch.setenv("MALGIL_API_URL", url)
        engine = open_engine(settings.database_url)
        yield Server(url, open_sessions(engine), inbox, doorbell)
        engine.dispose()


@pytest.fixture
def malgil(capsys: pytest.CaptureFixture[str]) -> Malgil:
    """Runs one command."""

    def ran(*words: object) -> Ran:
        capsys.readouterr()
        code = run([str(word) for word in words])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return ran


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started does not inherit that interrupts are ignored, as in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
