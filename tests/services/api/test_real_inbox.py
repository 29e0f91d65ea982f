"""The reply way over the real inbox: HTTP, Valkey, and a worker that only echoes."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import redis

from core.queue.drain import Drain
from core.queue.messages import INFERENCE_QUEUE, Ask, Candidate, Reply, alive_key
from core.settings import Settings
from core.tracing import tracing
from services.api.app import create_app
from tests.core.collecting import attributes, collecting
from tests.services.api.serving import served


def answer(drain: Drain, ask: Ask) -> None:
    """Echo an ask; one that says "fail" is refused, one that says "wait" is never answered."""
    text = ask.turns[-1]
    if text == "who":
        text = f"{ask.request} {ask.trace}".strip()
    if text == "wait":
        return
    if text == "fail":
        refusal = Reply(id=ask.id, error="SpecError", message="too wide", field="decode.beam_size")
        drain.send([(ask, refusal)])
        return
    if ask.stream:
        for place, letter in enumerate(text):
            drain.send([(ask, Reply(id=ask.id, piece=letter, begins=place))])
            time.sleep(0.01)
    drain.send([(ask, Reply(id=ask.id, candidates=(Candidate(text, -1.0),), batch=1))])


@pytest.fixture
def echo(valkey_url: str) -> Iterator[None]:
    """A worker without Celery: it looks into the inbox all the time."""
    stop = threading.Event()

    def work() -> None:
        with redis.Redis.from_url(valkey_url, protocol=2) as client:
            drain = Drain(client, name="echo")
            while not stop.is_set():
                client.set(alive_key(INFERENCE_QUEUE), 1)
                for ask, _ in drain.begin(64):
                    answer(drain, ask)
                time.sleep(0.002)

    thread = threading.Thread(target=work)
    with redis.Redis.from_url(valkey_url) as client:
        client.set(alive_key(INFERENCE_QUEUE), 1)
    thread.start()
    yield
    stop.set()
    thread.join(timeout=10)


@pytest.fixture
def client(tmp_path: Path, valkey_url: str, echo: None) -> Iterator[httpx.Client]:
    settings = Settings(home=tmp_path, redis_url=valkey_url)
    with ExitStack() as stack:
        url = stack.enter_context(served(create_app(settings)))
        yield stack.enter_context(httpx.Client(base_url=url, timeout=10))


def test_a_reply_comes_back(client: httpx.Client) -> None:
    answer = client.post("/v1/replies", json={"model": "m", "text": "가나다"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == "가나다"


@pytest.mark.parametrize("stream", [False, True])
def test_a_worker_knows_which_request_an_ask_belongs_to(client: httpx.Client, stream: bool) -> None:
    body = {"model": "m", "text": "who", "stream": stream}
    answer = client.post("/v1/replies", json=body, headers={"x-request-id": "mine-1"})
    assert json.loads(answer.text.strip().rsplit("data: ")[-1])["text"] == "mine-1"


def test_an_ask_takes_the_trace_of_its_request_along(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with collecting(monkeypatch) as spans:
        body = {"model": "m", "text": "who"}
        answer = client.post("/v1/replies", json=body, headers={"traceparent": outside})
        tracing.close()
    (span,) = spans
    _, trace, parent, _ = answer.json()["text"].split()[1].split("-")
    assert trace == span.trace_id.hex() == outside.split("-")[1]
    assert parent == span.span_id.hex()
    assert span.parent_span_id.hex() == outside.split("-")[2]
    assert span.name == "POST /v1/replies"
    assert attributes(span)["http.response.status_code"] == 200
    assert attributes(span)["malgil.request_id"] == answer.headers["x-request-id"]


def test_many_texts_come_back_in_order(client: httpx.Client) -> None:
    texts = [f"text {n}" for n in range(200)]
    answer = client.post("/v1/translations", json={"model": "m", "texts": texts})
    assert answer.status_code == 200, answer.text
    assert [one["text"] for one in answer.json()["translations"]] == texts


def test_a_stream_comes_piece_by_piece(client: httpx.Client) -> None:
    body = {"model": "m", "text": "abc", "stream": True}
    answer = client.post("/v1/replies", json=body)
    names = [line for line in answer.text.splitlines() if line.startswith("event")]
    assert names == ["event: piece"] * 3 + ["event: reply"]
    assert json.loads(answer.text.strip().rsplit("data: ")[-1])["text"] == "abc"


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_worker_refuses_keeps_its_status_and_field(
    client: httpx.Client, stream: bool
) -> None:
    body = {"model": "m", "text": "fail", "stream": stream}
    answer = client.post("/v1/replies", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "decode.beam_size", "message": "too wide"}]


@pytest.mark.parametrize("stream", [False, True])
def test_silence_is_a_504_at_the_deadline(client: httpx.Client, stream: bool) -> None:
    body = {"model": "m", "text": "wait", "stream": stream, "timeout_s": 0.3}
    began = time.monotonic()
    answer = client.post("/v1/replies", json=body)
    assert answer.status_code == 504, answer.text
    assert 0.3 <= time.monotonic() - began < 2
