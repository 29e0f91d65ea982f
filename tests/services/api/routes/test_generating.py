"""Questions about documents, as jobs."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from core import recipes
from core.storage import pieces
from core.storage.tables import JobStatus
from services.api.routes.jobs import RINGS
from tests.services.api.conftest import House
from tests.services.api.rows import add_checkpoint, add_document

ASKS = recipes.find("qgen-pointer").plan


def model(house: House) -> str:
    return str(add_checkpoint(house.sessions, plan=ASKS).id)


def post(house: House, **body: Any) -> Any:
    return house.client.post("/v1/jobs", json={"kind": "generate", **body})


def test_questions_about_documents_are_queued_in_pieces_and_rung_for(house: House) -> None:
    found = [str(add_document(house.sessions, "x" * 9000 + str(n)).id) for n in range(5)]
    asked = [found[3], found[0], found[1], found[3]]
    answer = post(house, model=model(house), documents=asked, options={"answers": 8}, priority=2)
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert (job["kind"], job["status"], job["corpus_id"]) == ("generate", "queued", None)
    assert (job["spec"]["documents"], job["spec"]["options"]["answers"]) == (3, 8)
    assert house.doorbell.rung == 2, "a bell for each piece"
    with house.sessions() as session:
        assert pieces.standing(session, UUID(job["id"])).open == 2
    shown = house.client.get(f"/v1/jobs/{job['id']}").json()
    assert (shown["position"], shown["checkpoint_id"]) == (0, None)
    cancelled = house.client.post(f"/v1/jobs/{job['id']}/cancel").json()
    assert cancelled["status"] == JobStatus.CANCELLED


def test_without_documents_all_are_meant(house: House) -> None:
    for number in range(RINGS + 5):
        add_document(house.sessions, "x" * 20_000 + str(number))
    answer = post(house, model=model(house))
    assert answer.json()["spec"]["documents"] == RINGS + 5
    assert house.doorbell.rung == RINGS


def test_the_checkpoint_is_the_one_that_the_name_meant_when_it_was_queued(house: House) -> None:
    add_document(house.sessions)
    first, second = model(house), model(house)
    house.client.put("/v1/aliases/asker", json={"checkpoint": first})
    job = post(house, model="asker").json()
    house.client.put("/v1/aliases/asker", json={"checkpoint": second})
    shown = house.client.get(f"/v1/jobs/{job['id']}").json()
    assert (shown["spec"]["model"], shown["spec"]["checkpoint"]) == ("asker", first)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"documents": []}, "documents"),
        ({"documents": ["x"]}, "documents.0"),
        ({"options": {"answers": 0}}, "options.answers"),
        ({"options": {"nothing": 1}}, "options.nothing"),
        ({"options": {"decode": {"beam_size": 99}}}, "options.decode.beam_size"),
        ({"options": {"passages": {"overlap": -1}}}, "options.passages.overlap"),
        ({"priority": 9999}, "priority"),
        ({"corpus": "talk"}, "corpus"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(
    house: House, body: dict[str, Any], field: str
) -> None:
    add_document(house.sessions)
    answer = post(house, model=model(house), **body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert house.client.get("/v1/jobs").json()["data"] == []


def test_a_model_that_does_not_ask_is_refused(house: House) -> None:
    add_document(house.sessions)
    answer = post(house, model=str(add_checkpoint(house.sessions).id))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "model"
    assert "was trained to chat" in answer.text


def test_what_is_not_there_is_named(house: House) -> None:
    nobody = post(house, model="nobody")
    assert (nobody.status_code, "nobody" in nobody.text) == (404, True)
    missing = str(uuid4())
    answer = post(house, model=model(house), documents=[missing])
    assert (answer.status_code, missing in answer.text) == (404, True)
    nothing = post(house, model=model(house))
    assert (nothing.status_code, nothing.json()["errors"][0]["field"]) == (422, "documents")


def test_a_kind_that_there_is_not_is_refused(house: House) -> None:
    answer = house.client.post("/v1/jobs", json={"kind": "dance"})
    assert answer.status_code == 422
    assert "It is train or generate" in answer.text
