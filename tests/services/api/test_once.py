"""The same request, sent again: worked on once, answered as before."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import anyio
import httpx
import pytest
from sqlalchemy import func, select

from core.queue.messages import Reply
from core.storage import idempotency
from core.storage.tables import (
    AliasChange,
    Checkpoint,
    Conversation,
    Corpus,
    Document,
    IdempotencyKey,
    Job,
)
from tests.services.api.conftest import House
from tests.services.api.fakes import FakeInbox
from tests.services.api.files import bundle
from tests.services.api.rows import add_checkpoint, add_corpus

KEY = {"Idempotency-Key": "k-1"}
CSV = "source,target\n" + "\n".join(f"question {n},answer {n}" for n in range(40))
JOB = {"corpus": "talk", "recipe": "demo"}


@dataclass
class HeldInbox(FakeInbox):
    """Answers once it is open."""

    open: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)

    async def ask(self, **asked: Any) -> Reply:
        self.entered.set()
        while not self.open.is_set():
            await anyio.sleep(0.01)
        return await super().ask(**asked)


@pytest.fixture
def inbox() -> FakeInbox:
    inbox = HeldInbox()
    inbox.open.set()
    return inbox


def count(house: House, kind: type) -> int:
    with house.sessions() as session:
        return session.scalars(select(func.count()).select_from(kind)).one()


def queue(house: House, **changes: object) -> httpx.Response:
    return house.client.post("/v1/jobs", json={**JOB, **changes}, headers=KEY)


def upload(house: House, text: str = CSV) -> httpx.Response:
    files = {"file": ("talk.csv", text.encode())}
    form = {"name": "made", "kind": "pairs"}
    return house.client.post("/v1/corpora", data=form, files=files, headers=KEY)


def bring(house: House) -> httpx.Response:
    files = {"file": ("bot.safetensors", bundle())}
    return house.client.post("/v1/checkpoints", files=files, headers=KEY)


def start(house: House) -> httpx.Response:
    return house.client.post("/v1/conversations", json={"model": "bot"}, headers=KEY)


def tell(house: House) -> httpx.Response:
    return house.client.post("/v1/documents/text", json={"text": "We open."}, headers=KEY)


@pytest.mark.parametrize(
    ("send", "kind"),
    [(tell, Document), (queue, Job), (upload, Corpus), (bring, Checkpoint), (start, Conversation)],
)
def test_what_is_sent_again_is_made_once_and_answered_the_same(
    house: House, send: Callable[[House], httpx.Response], kind: type
) -> None:
    add_corpus(house.sessions)
    before = count(house, kind)
    first, again = send(house), send(house)
    assert first.status_code == 201, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert count(house, kind) == before + 1


def test_a_turn_is_said_once(house: House) -> None:
    talk = house.client.post("/v1/conversations", json={"model": "bot"}).json()["id"]
    path = f"/v1/conversations/{talk}/turns"
    first, again = (house.client.post(path, json={"text": "hello"}, headers=KEY) for _ in range(2))
    assert (again.status_code, again.content) == (201, first.content)
    assert len(house.client.get(f"/v1/conversations/{talk}").json()["turns"]) == 2
    assert len(house.inbox.asked) == 1


def test_a_promotion_and_a_rollback_happen_once(house: House) -> None:
    ids = [str(add_checkpoint(house.sessions).id) for _ in range(3)]
    for checkpoint in ids:
        body = {"checkpoint": checkpoint}
        for _ in range(2):
            headers = {"Idempotency-Key": checkpoint}
            answer = house.client.put("/v1/aliases/bot", json=body, headers=headers)
            assert answer.status_code == 200
    late = house.client.put(
        "/v1/aliases/bot", json={"checkpoint": ids[0]}, headers={"Idempotency-Key": ids[0]}
    )
    assert late.headers["idempotency-replayed"] == "true"
    assert count(house, AliasChange) == 3
    for _ in range(2):
        answer = house.client.post("/v1/aliases/bot/rollback", headers=KEY)
        assert answer.json()["checkpoint_id"] == ids[1]
    assert count(house, AliasChange) == 4


def test_another_request_with_the_same_key_is_refused_as_a_problem(house: House) -> None:
    add_corpus(house.sessions)
    queue(house)
    for other in (queue(house, priority=1), start(house), upload(house)):
        assert other.status_code == 422
        assert other.headers["content-type"] == "application/problem+json"
        assert other.json()["errors"][0]["field"] == "Idempotency-Key"
    assert count(house, Job) == 1
    upload(house)
    assert upload(house, CSV + "\nmore,more").status_code == 422


def test_without_a_key_each_request_makes_its_own(house: House) -> None:
    add_corpus(house.sessions)
    for _ in range(2):
        assert house.client.post("/v1/jobs", json=JOB).status_code == 201
    assert count(house, Job) == 2
    assert count(house, IdempotencyKey) == 0


@pytest.mark.parametrize("key", ["", "k" * 256, "with blank", "ключ".encode()])
def test_a_key_that_is_none_is_refused_by_its_name(house: House, key: str | bytes) -> None:
    add_corpus(house.sessions)
    answer = house.client.post("/v1/jobs", json=JOB, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert count(house, Job) == 0


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_a_form_of_the_wrong_kind_is_refused_all_the_same(house: House, kind: str) -> None:
    for path in ("/v1/corpora", "/v1/checkpoints", "/v1/documents", "/v1/pairs"):
        headers = {**KEY, "content-type": kind}
        assert house.client.post(path, content=b"a=b", headers=headers).status_code == 422


def test_what_failed_made_nothing_and_leaves_its_key_free(house: House) -> None:
    assert queue(house).status_code == 404
    assert queue(house, recipe="\0").status_code == 422
    assert queue(house, corpus="other").status_code == 404
    add_corpus(house.sessions)
    assert queue(house).status_code == 201


def test_while_it_is_worked_on_it_is_refused_and_then_answered(house: House) -> None:
    talk = house.client.post("/v1/conversations", json={"model": "bot"}).json()["id"]
    path = f"/v1/conversations/{talk}/turns"
    answers: list[httpx.Response] = []

    def say() -> None:
        answers.append(house.client.post(path, json={"text": "hello"}, headers=KEY))

    assert isinstance(house.inbox, HeldInbox)
    house.inbox.open.clear()
    first = threading.Thread(target=say)
    first.start()
    assert house.inbox.entered.wait(10)
    say()
    house.inbox.open.set()
    first.join(timeout=10)
    say()
    assert [answer.status_code for answer in answers] == [409, 201, 201]
    assert answers[0].json()["type"] == "urn:malgil:problem:in-progress"
    assert answers[2].content == answers[1].content


def test_of_many_sent_at_once_one_is_made(house: House) -> None:
    add_corpus(house.sessions)
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(queue(house))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert count(house, Job) == 1
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert made == {queue(house).json()["id"]}


def test_a_request_whose_process_died_is_free_again_soon(house: House) -> None:
    add_corpus(house.sessions)
    long_ago = datetime.now(UTC) - idempotency.HOLD - timedelta(seconds=1)
    first = queue(house).json()["id"]
    with house.sessions.begin() as session:
        row = session.scalars(select(IdempotencyKey)).one()
        row.status, row.held_until, row.holder = None, long_ago, uuid4()
    assert queue(house).json()["id"] != first
