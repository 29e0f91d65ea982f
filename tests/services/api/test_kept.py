import time
from uuid import UUID, uuid4

import pytest

from core.storage import aliases
from core.storage.tables import Alias
from services.api import kept
from tests.services.api.conftest import House
from tests.services.api.routes.test_replies import events
from tests.services.api.rows import NOW, add_checkpoint, add_document, add_pairs

ASKED = "When does the shop open on Monday?"
TEXT = "We open at nine. On Sundays we sleep."


@pytest.fixture
def pair(house: House) -> UUID:
    document = add_document(house.sessions, TEXT)
    (pair_id,) = add_pairs(house.sessions, document, (11, 15))
    edit = {"question": ASKED, "answer_start": 8, "answer_end": 15}
    assert house.client.patch(f"/v1/pairs/{pair_id}", json=edit).status_code == 200
    checkpoint = add_checkpoint(house.sessions)
    with house.sessions.begin() as session:
        aliases.promote(session, "bot", checkpoint.id, now=NOW)
        aliases.promote(session, "other", checkpoint.id, now=NOW)
    return pair_id


def give(house: House, **told: object) -> dict:
    answer = house.client.put("/v1/aliases/bot/kept", json=told)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask(house: House, text: str = ASKED, model: str = "bot", **more: object) -> dict:
    answer = house.client.post("/v1/replies", json={"model": model, "text": text, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_kept_answer_comes_with_its_source_and_without_a_model(house: House, pair: UUID) -> None:
    assert give(house)["kept"] == {"least": 0.85, "job_id": None, "document_id": None}
    said = ask(house, "when does the shop open on monday")
    assert (said["text"], said["score"], said["checkpoint"]) == (TEXT[8:15], 0.0, None)
    source = said["source"]
    assert (source["pair_id"], source["question"], source["similarity"]) == (str(pair), ASKED, 1.0)
    assert TEXT[source["answer_start"] : source["answer_end"]] == source["answer"] == said["text"]
    assert source["title"]
    assert said["timing"]["batch"] == 0
    assert house.inbox.asked == []
    assert 'malgil_replies_total{outcome="kept"} 1.0' in house.client.get("/metrics").text


def test_what_nobody_kept_is_asked_of_the_model(house: House, pair: UUID) -> None:
    give(house)
    said = ask(house, "Who lives there?")
    assert said["text"] == "?ereht sevil ohW"
    assert "source" not in said
    assert "source" not in ask(house, model="other")  # another name for the same checkpoint
    assert len(house.inbox.asked) == 2


def test_the_last_turn_is_what_is_compared(house: House, pair: UUID) -> None:
    give(house)
    talk = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": ASKED},
    ]
    answer = house.client.post("/v1/replies", json={"model": "bot", "messages": talk}).json()
    assert answer["text"] == TEXT[8:15]


def test_it_is_streamed_in_one_piece(house: House, pair: UUID) -> None:
    give(house)
    body = {"model": "bot", "text": ASKED, "stream": True}
    (piece, reply) = events(house.client.post("/v1/replies", json=body))
    assert piece == ("piece", {"text": TEXT[8:15]})
    assert reply[0] == "reply"
    assert reply[1]["source"]["pair_id"] == str(pair)


def test_a_conversation_remembers_it(house: House, pair: UUID) -> None:
    give(house)
    talk = house.client.post("/v1/conversations", json={"model": "bot"}).json()["id"]
    said = house.client.post(f"/v1/conversations/{talk}/turns", json={"text": ASKED}).json()
    assert said["reply"]["source"]["pair_id"] == str(pair)
    turns = house.client.get(f"/v1/conversations/{talk}").json()["turns"]
    assert [turn["text"] for turn in turns] == [ASKED, TEXT[8:15]]


@pytest.mark.parametrize(
    "more",
    [
        {"details": True},
        {"decode": {"alignments": True}},
        {"decode": {"banned": ["nine"]}},
        {"decode": {"required": ["ten"]}},
        {"decode": {"prefix": "We"}},
        {"decode": {"stop": ["\n"]}},
        {"decode": {"skip": ["<unk>"]}},
    ],
)
def test_what_only_a_model_can_do_is_left_to_it(house: House, pair: UUID, more: dict) -> None:
    give(house)
    assert "source" not in ask(house, **more)
    assert "source" in ask(house, decode={"beam_size": 4})


def test_translations_are_always_the_models(house: House, pair: UUID) -> None:
    give(house)
    told = house.client.post("/v1/translations", json={"model": "bot", "texts": [ASKED]}).json()
    assert told["translations"][0]["text"] == ASKED[::-1]


def test_it_goes_with_the_name_until_it_is_taken_away(house: House, pair: UUID) -> None:
    give(house, least=0.9, document_id=str(uuid4()))
    assert "source" not in ask(house)
    give(house, least=0.9)
    newer = add_checkpoint(house.sessions)
    promoted = house.client.put("/v1/aliases/bot", json={"checkpoint": str(newer.id)}).json()
    assert promoted["kept"]["least"] == 0.9
    assert len(promoted["history"]) == 2
    assert "source" in ask(house)
    gone = house.client.delete("/v1/aliases/bot/kept")
    assert gone.json()["kept"] is None
    assert "source" not in ask(house)


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"least": 0.4}, "least"),
        ({"least": 1.1}, "least"),
        ({"job_id": "x"}, "job_id"),
        ({"often": 1}, "often"),
    ],
)
def test_what_cannot_be_meant_is_refused(house: House, pair: UUID, told: dict, field: str) -> None:
    answer = house.client.put("/v1/aliases/bot/kept", json=told)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert house.client.put("/v1/aliases/nobody/kept", json={}).status_code == 404
    assert house.client.delete("/v1/aliases/nobody/kept").status_code == 404


def test_reviews_are_followed_by_themselves(
    house: House, pair: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "EVERY_S", 0.05)
    give(house)
    assert "source" in ask(house)
    house.client.patch(f"/v1/pairs/{pair}", json={"review": "rejected"})
    deadline = time.monotonic() + 30
    while "source" in ask(house):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_name_that_is_not_understood_asks_its_model(house: House, pair: UUID) -> None:
    with house.sessions.begin() as session:
        session.get_one(Alias, "bot").kept = {"least": 0.9, "of_a_newer_version": 1}
    house.app.state.kept.refresh()
    assert "source" not in ask(house)


def test_kept_answers_are_found_by_a_question(house: House, pair: UUID) -> None:
    def found(**params: object) -> list[dict]:
        answer = house.client.get("/v1/pairs/nearest", params=params)
        assert answer.status_code == 200
        return answer.json()["data"]

    (one,) = found(question="When does this shop open on Monday?")
    assert 0.5 < one["similarity"] < 1
    assert (one["pair_id"], one["answer"]) == (str(pair), TEXT[8:15])
    assert found(question="When does this shop open on Monday?", least=1) == []
    assert found(question=ASKED, job_id=uuid4()) == []
    house.client.patch(f"/v1/pairs/{pair}", json={"review": "rejected"})
    assert found(question=ASKED) == []  # as it is now, not as it was
    assert house.client.get("/v1/pairs/nearest").status_code == 422
    assert house.client.get("/v1/pairs/nearest?question=a&least=0.1").status_code == 422
