import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from core.settings import Settings, socket_path
from services.embedded import valkey
from services.embedded.census import look
from services.embedded.children import BROKER, children
from services.embedded.supervisor import Pace, embedded, end_orphans
from tests.services.embedded.households import Heard


@pytest.fixture
def home() -> Iterator[Path]:
    """pytest's folders make paths that are longer than the kernel allows for a socket."""
    with tempfile.TemporaryDirectory(prefix="malgil-") as folder:
        yield Path(folder)


def start(settings: Settings) -> subprocess.Popen[bytes]:
    valkey.data_dir(settings).mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        valkey.command(settings), stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 10
    while not valkey.answers(socket_path(settings.home)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_only_the_server_of_this_home_is_embedded(home: Path) -> None:
    assert valkey.is_embedded(Settings(home=home))
    elsewhere = Settings(home=home, redis_url="redis://queue.example:6379/0")
    assert not valkey.is_embedded(elsewhere)
    assert "valkey" not in [child.name for child in children(elsewhere)]


def test_it_listens_on_a_socket_of_its_owner_alone_and_keeps_every_write(home: Path) -> None:
    settings = Settings(home=home)
    path = socket_path(home)
    with start(settings) as process, closing(redis.Redis(unix_socket_path=str(path))) as client:
        assert path.stat().st_mode & 0o777 == 0o700
        told = client.config_get("*")
        assert isinstance(told, dict)
        assert (told["port"], told["appendonly"]) == ("0", "yes")
        assert (told["appendfsync"], told["maxmemory-policy"]) == ("everysec", "noeviction")
        assert Path(told["dir"]).is_relative_to(home)
        assert valkey.pid_at(path) == process.pid
        client.set("word", "kept")
        valkey.shut_down(path)
        assert process.wait(10) == 0
        assert not path.exists()
    with start(settings) as process, closing(redis.Redis(unix_socket_path=str(path))) as client:
        assert client.get("word") == b"kept"
        valkey.shut_down(path)


def test_nobody_at_the_socket_is_fine(home: Path) -> None:
    path = socket_path(home)
    assert not valkey.answers(path)
    assert valkey.pid_at(path) is None
    valkey.shut_down(path)
    assert valkey.end_orphan(path) is None
    path.touch()
    assert valkey.end_orphan(path) is None
    assert not path.exists()


def test_an_orphan_is_found_through_its_socket_and_ended(home: Path) -> None:
    heard = Heard()
    with start(Settings(home=home)) as process:
        end_orphans(Settings(home=home), heard)
        assert process.wait(10) == 0
    assert [(notice.name, notice.pid) for notice in heard.notices] == [("valkey", process.pid)]


def test_under_a_supervisor_it_comes_back_with_what_it_knew_and_leaves_no_socket(
    home: Path,
) -> None:
    heard = Heard()
    settings = Settings(home=home, port=0)
    table = [child for child in children(settings) if child.tier == BROKER]
    path = socket_path(home)
    with (
        embedded(settings, tell=heard, table=table, pace=Pace(first_wait_s=0.1)),
        closing(redis.Redis(unix_socket_path=str(path))) as client,
    ):
        client.set("word", "kept")
        time.sleep(1.2)  # the log goes to disk once a second
        first = heard.pid("valkey")
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while heard.pid("valkey") == first or not valkey.answers(path):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.get("word") == b"kept"
    assert look(heard.pid("valkey")) is None
    assert not path.exists()
    assert heard.names("killed") == []
