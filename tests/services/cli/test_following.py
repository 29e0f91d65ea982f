import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from services.cli.client import Client
from services.cli.failures import Exit, Failure
from services.cli.following import Event, Message, follow, messages


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("data: one\n\n", [Message(data="one")]),
        ("event: log\nid: 7\ndata: one\n\n", [Message("log", "7", "one")]),
        (": nothing happens\n\ndata:one\n\n", [Message(data="one")]),
        ("data: one\ndata:  two\n\n", [Message(data="one\n two")]),
        ("event: log\n\ndata: one\n\n", [Message(data="one")]),
        ("data: one\n\ndata: cut o", [Message(data="one")]),
        ("retry: 10\nnonsense\ndata\n\n", [Message(data="")]),
    ],
)
def test_events_are_read_as_the_standard_says(text: str, found: list[Message]) -> None:
    assert list(messages(text.split("\n"))) == found


class Cutting(ThreadingHTTPServer):
    """A real server that streams a few events, then cuts the connection in the middle of one."""

    daemon_threads = True

    def __init__(self, *, events: int, at_once: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events = events
        self.at_once = at_once
        self.asked_after: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Cutting

    def do_GET(self) -> None:
        if self.path.endswith("/stream"):
            self._stream()
            return
        done = bool(self.server.asked_after) and self._next() > self.server.events
        self._say(json.dumps({"status": "succeeded" if done else "running"}))

    def _next(self) -> int:
        return self.server.asked_after[-1] + self.server.at_once + 1

    def _stream(self) -> None:
        after = int(self.headers["Last-Event-ID"])
        self.server.asked_after.append(after)
        last = min(after + self.server.at_once, self.server.events)
        rows = [
            f"event: metrics\nid: {number}\ndata: {_row(number)}\n\n"
            for number in range(after + 1, last + 1)
        ]
        self._say("".join(rows) + "event: metrics\nid: 99\ndata: {")

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        del format, args


def _row(number: int) -> str:
    return json.dumps({"id": number, "attempt": 1, "step": number, "data": {"loss": 1.0}})


@contextmanager
def running(server: Cutting) -> Iterator[Cutting]:
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_cut_connection_goes_on_where_it_was_cut() -> None:
    with running(Cutting(events=5, at_once=2)) as server, Client(server.url) as client:
        heard = list(follow(client, "6d0f"))
    assert [event.id for event in heard] == [1, 2, 3, 4, 5]
    assert heard[0] == Event("metrics", {"loss": 1.0}, 1, 1, 1)
    assert server.asked_after == [0, 2, 4]


def test_progress_has_no_id_and_is_taken_as_it_is() -> None:
    event = Event("progress", {"step": 3, "loss": None}, step=3)
    assert event.numbers() == {"step": 3}


def test_without_a_server_it_gives_up_after_its_patience() -> None:
    with Client("http://127.0.0.1:1") as client, pytest.raises(Failure) as caught:
        list(follow(client, "6d0f", patience_s=0.1))
    assert caught.value.code == Exit.UNAVAILABLE


def test_a_server_that_comes_back_is_found_again() -> None:
    class Refusing(Cutting):
        """Refuses the second connection altogether."""

        def verify_request(self, request: Any, client_address: Any) -> bool:
            del request, client_address
            self.seen = getattr(self, "seen", 0) + 1
            return self.seen != 2

    with running(Refusing(events=3, at_once=2)) as server, Client(server.url) as client:
        assert [event.id for event in follow(client, "6d0f")] == [1, 2, 3]
