"""Everything that goes wrong is a problem document, and says what is wrong."""

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from core.errors import (
    BundleError,
    ConflictError,
    DataError,
    InboxFullError,
    InputError,
    LeaseLostError,
    MalgilError,
    NotFoundError,
    NoWorkerError,
    ReplyTimeoutError,
    SpecError,
    UnavailableError,
)
from services.api.errors import TABLE, problem_of
from tests.services.api.conftest import House


def kinds(kind: type[MalgilError] = MalgilError) -> Iterator[type[MalgilError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


def assert_problem(answer: httpx.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert {"type", "title", "detail", "instance"} <= problem.keys()
    assert problem["instance"].endswith(answer.headers["x-request-id"])
    return problem


def test_every_error_of_the_house_has_its_own_line_in_the_table() -> None:
    of_the_core = {kind for kind in kinds() if kind.__module__ == MalgilError.__module__}
    assert of_the_core == set(TABLE)


def test_an_unknown_route_is_a_problem(client: httpx.Client) -> None:
    assert_problem(client.get("/v1/nothing"), 404)


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(client: httpx.Client) -> None:
    answer = client.put("/v1/replies", json={})
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_a_wrong_field_is_named_with_its_path(client: httpx.Client) -> None:
    body = {"model": "bot", "text": "hi", "decode": {"beam_size": 99}}
    problem = assert_problem(client.post("/v1/replies", json=body), 422)
    assert [fault["field"] for fault in problem["errors"]] == ["decode.beam_size"]


def test_an_unknown_key_is_refused_by_name(client: httpx.Client) -> None:
    body = {"model": "bot", "text": "hi", "beam": 3}
    problem = assert_problem(client.post("/v1/replies", json=body), 422)
    assert [fault["field"] for fault in problem["errors"]] == ["beam"]


def test_a_body_that_is_no_json_says_where(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/replies", content=b'{"model": }', headers=headers)
    problem = assert_problem(answer, 400)
    assert "character 10" in problem["detail"]


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"model":' * 5000,
        b'{"text":"\xff"}',
        b'{"timeout_s":' + b"9" * 5000 + b"}",
    ],
    ids=["deep lists", "deep objects", "not UTF-8", "a huge number"],
)
def test_a_body_that_breaks_parsers_is_refused(client: httpx.Client, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/replies", content=content, headers=headers)
    assert_problem(answer, 400)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b'{"model": "bot", "text": "\\ud800"}', "text"),
        (b'{"model": "bot", "text": "a", "\\udfff": 1}', "body"),
        (b'{"model": "bot", "text": "a", "decode": {"\\udfff": 1}}', "decode"),
    ],
)
def test_lone_surrogates_are_refused(client: httpx.Client, content: bytes, field: str) -> None:
    headers = {"content-type": "application/json"}
    problem = assert_problem(client.post("/v1/replies", content=content, headers=headers), 422)
    assert [fault["field"] for fault in problem["errors"]] == [field]


def test_a_body_that_says_it_is_too_large_is_refused_unread(client: httpx.Client) -> None:
    files = {"file": ("a.csv", b"x" * 1_100_000)}
    answer = client.post("/v1/corpora", data={"name": "n", "kind": "pairs"}, files=files)
    problem = assert_problem(answer, 413)
    assert "1 MB" in problem["detail"]


def test_a_body_that_grows_too_large_is_refused(client: httpx.Client) -> None:
    def parts() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        for _ in range(40):
            yield b"x" * 50_000
        yield b"\r\n--x--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert_problem(client.post("/v1/corpora", content=parts(), headers=headers), 413)


def test_a_large_json_body_is_refused(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/replies", content=b" " * (17 * 2**20), headers=headers)
    assert_problem(answer, 413)


def test_a_broken_form_is_a_problem(client: httpx.Client) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/v1/corpora", content=b"--y\r\nnothing", headers=headers)
    assert_problem(answer, 400)


def test_a_fault_of_ours_is_logged_under_its_id_and_tells_nothing(house: House) -> None:
    house.inbox.failures[""] = RuntimeError("secret")
    with capture_logs([merge_contextvars]) as logs:
        answer = house.client.post("/v1/replies", json={"model": "bot", "text": "hi"})
    problem = assert_problem(answer, 500)
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    failed = next(entry for entry in logs if entry["event"] == "a request failed")
    assert failed["exc_info"]
    assert failed["request_id"] in problem["instance"]


def test_the_id_of_a_proxy_is_kept_if_it_is_harmless(client: httpx.Client) -> None:
    kept = client.get("/health", headers={"x-request-id": "abc-1"})
    replaced = client.get("/health", headers={"x-request-id": "a b{}"})
    assert kept.headers["x-request-id"] == "abc-1"
    assert replaced.headers["x-request-id"] != "a b{}"


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (InputError("wrong", field="text"), 422, None),
        (SpecError("wrong", field="decode.n_best"), 422, None),
        (BundleError("wrong"), 422, None),
        (NotFoundError("model", "bot"), 404, None),
        (ConflictError("no"), 409, None),
        (LeaseLostError("no"), 409, None),
        (InboxFullError("full"), 429, "1"),
        (NoWorkerError("nobody"), 503, "5"),
        (ReplyTimeoutError("late"), 504, "1"),
        (UnavailableError("down"), 503, "1"),
        (MalgilError("what"), 500, None),
        (OperationalError("SELECT 1", {}, Exception("gone")), 503, "1"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_errors_become_their_status(
    house: House, error: Exception, status: int, retry_after: str | None
) -> None:
    house.inbox.failures[""] = error
    answer = house.client.post("/v1/replies", json={"model": "bot", "text": "hi"})
    problem = assert_problem(answer, status)
    assert answer.headers.get("retry-after") == retry_after
    if isinstance(error, InputError) and error.field:
        assert problem["errors"] == [{"field": error.field, "message": "wrong"}]


def test_bad_lines_are_listed() -> None:
    error = DataError("two lines", lines=[(3, "no target"), (7, "not UTF-8")], field="file")
    problem = problem_of(error)
    assert [(one.line, one.message) for one in problem.lines or ()] == [
        (3, "no target"),
        (7, "not UTF-8"),
    ]
