import http.server
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.settings import Settings
from services.embedded.children import base_url, children, environment, unready


@contextmanager
def answering(status: int, body: object) -> Iterator[int]:
    """A real server that answers everything alike; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            del format, args

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_child_reads_the_same_settings_from_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Settings(home=tmp_path, port=8123, lease_s=3.5, threads=2, host="0.0.0.0")
    for key, value in environment(given).items():
        monkeypatch.setenv(key, value)
    assert Settings() == given


def test_a_database_named_from_here_is_the_same_from_elsewhere(tmp_path: Path) -> None:
    given = Settings(home=tmp_path, database_url="sqlite:///near.db")
    told = environment(given)["MALGIL_DATABASE_URL"]
    assert told == f"sqlite:///{Path.cwd() / 'near.db'}"


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    url = "postgresql://malgil:secret@db.example:5432/malgil"
    shown = [child.where for child in children(Settings(home=tmp_path, database_url=url))]
    assert "postgresql://malgil:***@db.example:5432/malgil" in shown
    assert not any("secret" in where for where in shown)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("bots.example", "http://bots.example:8000"),
    ],
)
def test_an_api_that_listens_everywhere_is_reached_here(
    tmp_path: Path, host: str, url: str
) -> None:
    assert base_url(Settings(home=tmp_path, host=host)) == url


def test_ready_is_what_the_api_says(tmp_path: Path) -> None:
    with answering(200, {"status": "ready"}) as port:
        assert unready(Settings(home=tmp_path, port=port)) == ""


def test_what_is_missing_is_told_as_the_api_tells_it(tmp_path: Path) -> None:
    checks = {
        "database": {"ok": True, "detail": "answers"},
        "job worker": {"ok": False, "detail": "has not been heard of"},
    }
    with answering(503, {"status": "not ready", "checks": checks}) as port:
        missing = unready(Settings(home=tmp_path, port=port))
    assert missing == "job worker: has not been heard of"


@pytest.mark.parametrize(
    "body", ["busy", {}, {"checks": {}}, {"checks": None}, {"checks": {"broker": 1}}]
)
def test_an_answer_that_makes_no_sense_is_not_ready(tmp_path: Path, body: object) -> None:
    with answering(502, body) as port:
        assert unready(Settings(home=tmp_path, port=port)) == "the API answers 502"


def test_nobody_there_is_not_ready(tmp_path: Path) -> None:
    assert unready(Settings(home=tmp_path, port=1)) == "the API does not answer yet"


def test_all_who_are_needed_are_there(tmp_path: Path) -> None:
    table = children(Settings(home=tmp_path))
    assert [child.name for child in table] == [
        "valkey",
        "migrations",
        "inference",
        "jobs",
        "beat",
        "api",
    ]
    queues = " ".join(" ".join(child.command) for child in table)
    assert all(queue in queues for queue in ("malgil.inference", "malgil.jobs", "malgil.sweep"))
    assert os.path.isabs(table[0].command[0])  # noqa: PTH117 (a string in a command line)
