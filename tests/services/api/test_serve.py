"""The API as a process: light, quick to start, and willing to leave."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from core.storage.session import open_engine, open_sessions
from core.storage.tables import Base
from tests.services.api.rows import add_job

HEAVY = {"torch", "sentencepiece", "numpy", "safetensors"}


def test_the_process_imports_nothing_heavy() -> None:
    code = (
        "import sys; from core.settings import Settings; from services.api import serve\n"
        "serve.create_app(Settings()).openapi()\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


@dataclass
class Process:
    process: subprocess.Popen
    url: str
    database_url: str


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Process]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database_url = f"sqlite:///{tmp_path / 'malgil.db'}"
    engine = open_engine(database_url)
    Base.metadata.create_all(engine)
    engine.dispose()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MALGIL_")},
        "MALGIL_HOME": str(tmp_path),
        "MALGIL_PORT": str(port),
    }
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "services.api"], env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            assert process.poll() is None, "The process ended at once."
            assert time.monotonic() - began < 30, "The process did not start."
            try:
                httpx.get(f"{url}/health")
                break
            except httpx.ConnectError:
                time.sleep(0.02)
        yield Process(process, url, database_url)
    finally:
        process.kill()
        process.wait()


def test_the_process_answers_with_neither_broker_nor_workers(running: Process) -> None:
    assert httpx.get(f"{running.url}/ready").status_code == 503
    answer = httpx.post(f"{running.url}/v1/replies", json={"model": "m", "text": "a"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


def test_a_signal_ends_the_process_though_someone_follows_a_job(running: Process) -> None:
    engine = open_engine(running.database_url)
    job = add_job(open_sessions(engine)).id
    engine.dispose()
    with httpx.stream("GET", f"{running.url}/v1/jobs/{job}/stream", timeout=10) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: state"
        running.process.send_signal(signal.SIGTERM)
        assert [line for line in lines if line.startswith("event")] == []
    assert running.process.wait(timeout=5) == -signal.SIGTERM
