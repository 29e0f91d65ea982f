from uuid import uuid4

import httpx
import pytest

from core.errors import NoWorkerError
from core.storage import conversations
from core.storage.tables import Role
from services.api.answers import Answers
from tests.services.api.conftest import NOW, House


@pytest.fixture
def started(client: httpx.Client) -> str:
    answer = client.post("/v1/conversations", json={"model": "bot"})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/conversations/{answer.json()['id']}"
    return str(answer.json()["id"])


def test_a_turn_is_answered_in_the_light_of_those_before(house: House, started: str) -> None:
    say = f"/v1/conversations/{started}/turns"
    first = house.client.post(say, json={"text": "ab"})
    second = house.client.post(say, json={"text": "cd", "decode": {"beam_size": 1}})
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json()["turn"]["text"] == second.json()["reply"]["text"] == "dc"
    assert [asked.turns for asked in house.inbox.asked] == [("ab",), ("ab", "ba", "cd")]
    shown = house.client.get(f"/v1/conversations/{started}").json()
    assert [(turn["role"], turn["text"]) for turn in shown["turns"]] == [
        ("user", "ab"),
        ("assistant", "ba"),
        ("user", "cd"),
        ("assistant", "dc"),
    ]


def test_nothing_is_stored_when_no_reply_comes(house: House, started: str) -> None:
    house.inbox.failures[""] = NoWorkerError("nobody")
    answer = house.client.post(f"/v1/conversations/{started}/turns", json={"text": "ab"})
    assert answer.status_code == 503
    assert house.client.get(f"/v1/conversations/{started}").json()["turns"] == []


def test_no_more_turns_go_along_than_a_model_reads(house: House, started: str) -> None:
    with house.sessions.begin() as session:
        found = conversations.page(session, before=None, limit=1)[0]
        for number in range(40):
            conversations.add_turn(
                session, found.id, role=Role.USER, text=str(number), score=None, now=NOW
            )
    house.client.post(f"/v1/conversations/{started}/turns", json={"text": "ab"})
    assert house.inbox.asked[0].turns == (*map(str, range(25, 40)), "ab")


def test_a_turn_that_another_one_overtook_is_a_conflict(house: House, started: str) -> None:
    class Overtaken:
        """An inbox during whose answer someone else says something."""

        async def ask(self, **asked: object) -> object:
            with house.sessions.begin() as session:
                found = conversations.page(session, before=None, limit=1)[0]
                conversations.add_turn(
                    session, found.id, role=Role.USER, text="me first", score=None, now=NOW
                )
            return await house.inbox.ask(**asked)

    state = house.app.state
    state.answers = Answers(
        inbox=Overtaken(), kept=state.kept, figures=state.figures, timeout_s=5.0
    )
    answer = house.client.post(f"/v1/conversations/{started}/turns", json={"text": "ab"})
    assert answer.status_code == 409
    shown = house.client.get(f"/v1/conversations/{started}").json()
    assert [turn["text"] for turn in shown["turns"]] == ["me first"]


def test_conversations_are_listed_newest_first_and_page_by_page(client: httpx.Client) -> None:
    ids = [client.post("/v1/conversations", json={"model": "m"}).json()["id"] for _ in range(3)]
    first = client.get("/v1/conversations", params={"limit": 2}).json()
    rest = client.get("/v1/conversations", params={"before": first["next"]}).json()
    assert [one["id"] for one in first["data"] + rest["data"]] == ids[::-1]
    assert rest["next"] is None


def test_a_deleted_conversation_is_gone(client: httpx.Client, started: str) -> None:
    assert client.delete(f"/v1/conversations/{started}").status_code == 204
    assert client.get(f"/v1/conversations/{started}").status_code == 404
    assert client.delete(f"/v1/conversations/{started}").status_code == 404


def test_an_unknown_conversation_is_not_found(house: House) -> None:
    answer = house.client.post(f"/v1/conversations/{uuid4()}/turns", json={"text": "ab"})
    assert answer.status_code == 404
    assert house.inbox.asked == []


@pytest.mark.parametrize("text", ["", " ", "\x00", "a" * 10_001])
def test_a_turn_that_cannot_be_kept_is_refused(house: House, started: str, text: str) -> None:
    answer = house.client.post(f"/v1/conversations/{started}/turns", json={"text": text})
    assert answer.status_code == 422
    assert house.inbox.asked == []
