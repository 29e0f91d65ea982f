import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from services.cli.client import Client
from services.cli.failures import Exit, Failure

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """A real server that answers every GET and POST as it is told to."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            del format, args

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def saying(status: int, body: str, headers: dict[str, str] | None = None) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for key, value in (headers or {}).items():
            request.send_header(key, value)
        request.end_headers()
        request.wfile.write(body.encode())

    return answer


def failure_of(answer: Answer) -> Failure:
    with answering(answer) as url, Client(url) as client, pytest.raises(Failure) as caught:
        client.ask("GET", "/v1/jobs")
    return caught.value


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, Exit.REFUSED),
        (409, Exit.REFUSED),
        (422, Exit.REFUSED),
        (429, Exit.UNAVAILABLE),
        (500, Exit.UNAVAILABLE),
        (503, Exit.UNAVAILABLE),
    ],
)
def test_the_status_picks_the_exit_code(status: int, code: Exit) -> None:
    problem = {"title": "No", "detail": "because", "status": status, "lines": [{"line": 1}]}
    failure = failure_of(saying(status, json.dumps(problem)))
    assert failure.code == code
    assert failure.problem["lines"] == [{"line": 1}]


@pytest.mark.parametrize("body", ["<html>Bad Gateway</html>", "[]", '"busy"', ""])
def test_an_error_that_is_no_problem_document_is_told_too(body: str) -> None:
    failure = failure_of(saying(502, body))
    assert failure.code == Exit.UNAVAILABLE
    assert "502" in failure.problem["title"]


def test_something_else_at_the_address_is_told() -> None:
    failure = failure_of(saying(200, "<html>Welcome</html>"))
    assert failure.code == Exit.UNAVAILABLE
    assert failure.problem["title"] == "That is not Malgil"


def test_a_connection_that_breaks_is_told() -> None:
    failure = failure_of(lambda request: request.connection.shutdown(socket.SHUT_RDWR))
    assert failure.code == Exit.UNAVAILABLE


def test_a_proxy_is_not_asked_for_what_is_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with answering(saying(200, "{}")) as url, Client(url) as client:
        assert client.ask("GET", "/health") == {}


def test_pages_are_put_together_up_to_the_limit() -> None:
    def page(request: BaseHTTPRequestHandler) -> None:
        first = "before" not in request.path
        body = {"data": [{"id": 1}, {"id": 2}], "next": "2"} if first else {"data": [{"id": 3}]}
        saying(200, json.dumps(body))(request)

    with answering(page) as url, Client(url) as client:
        assert [row["id"] for row in client.rows("/v1/jobs", limit=10)] == [1, 2, 3]
        assert [row["id"] for row in client.rows("/v1/jobs", limit=1)] == [1]


def made_of(*answers: Answer) -> tuple[object, list[str | None]]:
    """Make something on a server that gives ``answers`` in turn; return it, and the keys it saw."""
    left, keys = list(answers), list[str | None]()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.rfile.read(int(request.headers["Content-Length"]))
        keys.append(request.headers["Idempotency-Key"])
        left.pop(0)(request)

    with answering(answer) as url, Client(url) as client:
        return client.make("/v1/jobs", body={"corpus": "talk"}), keys


def cut(request: BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


def test_what_makes_something_is_sent_again_under_its_key_where_the_connection_broke() -> None:
    busy = {"type": "urn:malgil:problem:in-progress", "title": "Still being worked on"}
    made, keys = made_of(cut, saying(409, json.dumps(busy)), saying(201, '{"id": 1}'))
    assert made == {"id": 1}
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert keys[0]


@pytest.mark.parametrize("status", [404, 409, 422, 500, 503])
def test_what_was_refused_is_not_sent_again(status: int) -> None:
    with pytest.raises(Failure):
        made_of(saying(status, '{"title": "No"}'))


def test_each_thing_made_has_a_key_of_its_own() -> None:
    keys = [made_of(saying(201, "{}"))[1][0] for _ in range(2)]
    assert keys[0] != keys[1]
