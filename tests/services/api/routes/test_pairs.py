import csv
import json
from io import StringIO
from uuid import UUID, uuid4

import httpx
import pytest

from tests.core.data.test_exports import read_strictly
from tests.services.api.conftest import House
from tests.services.api.rows import add_document, add_pairs

KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture
def ids(house: House) -> list[UUID]:
    document = add_document(house.sessions)
    return add_pairs(house.sessions, document, (3, 7), (8, 15), (17, 19), (20, 22))


def bring(client: httpx.Client, *lines: dict, headers: dict | None = None) -> httpx.Response:
    data = "\n".join(json.dumps(line) for line in lines).encode()
    return client.post("/v1/pairs", files={"file": ("p.jsonl", data)}, headers=headers)


def listed(house: House, **params: object) -> list[str]:
    return [pair["id"] for pair in house.client.get("/v1/pairs", params=params).json()["data"]]


def test_pairs_are_listed_page_by_page_and_found(house: House, ids: list[UUID]) -> None:
    told = [str(one) for one in ids]
    first = house.client.get("/v1/pairs", params={"limit": 3}).json()
    rest = house.client.get("/v1/pairs", params={"after": first["next"]}).json()
    assert [one["id"] for one in first["data"] + rest["data"]] == told
    assert rest["next"] is None
    house.client.patch(f"/v1/pairs/{ids[0]}", json={"review": "accepted"})
    assert listed(house, review="accepted") == told[:1]
    assert listed(house, review=["accepted", "new"]) == told
    assert listed(house, score="sure", min_score=0.2) == told[2:]
    assert listed(house, text="question 3") == told[3:]
    assert listed(house, job_id=uuid4()) == []
    counts = house.client.get("/v1/pairs/counts").json()
    assert counts == {"new": 3, "accepted": 1, "rejected": 0, "edited": 0}
    for wrong in ({"score": "sure"}, {"score": 'a"', "min_score": 1}, {"review": "good"}, {"a": 1}):
        assert house.client.get("/v1/pairs", params=wrong).status_code == 422
    assert house.client.get("/v1/pairs", params={"after": uuid4()}).status_code == 404


def test_a_pair_is_accepted_rejected_edited_and_made_new(house: House, ids: list[UUID]) -> None:
    path = f"/v1/pairs/{ids[0]}"
    accepted = house.client.patch(path, json={"review": "accepted", "reviewer": "kim"}).json()
    assert (accepted["review"], accepted["reviewed_by"]) == ("accepted", "kim")
    assert accepted["reviewed_at"]
    edit = {"question": "언제?", "answer_start": 11, "answer_end": 15}
    edited = house.client.patch(path, json=edit).json()
    assert edited["review"] == "edited"
    assert edited["edited"] == {**edit, "answer": "nine"}
    assert (edited["question"], edited["answer"]) == ("Question 0?", "open")
    assert house.client.get(path).json() == edited
    assert house.client.patch(path, json={"review": "rejected"}).json()["edited"] is not None
    back = house.client.patch(path, json={"review": "new"}).json()
    assert (back["review"], back["edited"], back["reviewed_by"]) == ("new", None, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"review": "edited"}, "body"),
        ({"review": "accepted", "question": "a"}, "body"),
        ({"review": "good"}, "review"),
        ({"question": " "}, "question"),
        ({"answer_start": 999}, "answer_start"),
        ({"answer_end": 2}, "answer_start"),
        ({"answer_end": 10**12}, "answer_end"),
        ({"review": "new", "reviewer": "a" * 129}, "reviewer"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_review_that_is_none_is_refused_by_field(
    house: House, ids: list[UUID], body: dict, field: str
) -> None:
    answer = house.client.patch(f"/v1/pairs/{ids[0]}", json=body)
    assert answer.status_code == 422, answer.text
    assert field in [fault["field"] for fault in answer.json()["errors"]]
    assert house.client.get(f"/v1/pairs/{ids[0]}").json()["review"] == "new"


def test_many_are_reviewed_at_once(house: House, ids: list[UUID]) -> None:
    def bulk(**body: object) -> httpx.Response:
        return house.client.post("/v1/pairs/bulk", json=body)

    assert bulk(ids=[str(ids[0]), str(uuid4())], review="rejected").json() == {"reviewed": 1}
    where = {"review": ["new"], "score": "sure", "min_score": 0.3}
    assert bulk(where=where, review="accepted", reviewer="kim").json() == {"reviewed": 1}
    assert bulk(where={}, review="new").json() == {"reviewed": 4}
    for wrong in (
        {"review": "new"},
        {"review": "new", "ids": [], "where": {}},
        {"review": "edited", "where": {}},
        {"review": "new", "ids": []},
    ):
        assert bulk(**wrong).status_code == 422


def test_what_was_kept_is_exported_in_every_format(house: House, ids: list[UUID]) -> None:
    house.client.patch(f"/v1/pairs/{ids[0]}", json={"review": "accepted"})
    house.client.patch(f"/v1/pairs/{ids[2]}", json={"question": '언제?\t"x"'})

    def export(format_: str, **params: object) -> httpx.Response:
        answer = house.client.get("/v1/pairs/export", params={"format": format_, **params})
        assert answer.status_code == 200, answer.text
        assert "attachment" in answer.headers["content-disposition"]
        return answer

    kept = [(str(ids[0]), "Question 0?", "open"), (str(ids[2]), '언제?\t"x"', "저녁")]
    assert read_strictly(export("squad").text, "1.1") == kept
    assert read_strictly(export("squad-v2").text, "v2.0") == kept
    lines = [json.loads(line) for line in export("jsonl").text.splitlines()]
    assert [(line["id"], line["question"], line["answer"]) for line in lines] == kept
    rows = list(csv.DictReader(StringIO(export("csv").text, newline="")))
    assert [(row["id"], row["question"], row["answer"]) for row in rows] == kept
    assert export("anki").text.startswith("#separator:tab\n")
    assert len(export("jsonl", review="new").text.splitlines()) == 2
    assert export("csv").headers["content-type"] == "text/csv; charset=utf-8"
    assert house.client.get("/v1/pairs/export").status_code == 422
    wrong = {"format": "csv", "score": "sure"}
    assert house.client.get("/v1/pairs/export", params=wrong).status_code == 422


def test_pairs_come_in_as_they_went_out(house: House, ids: list[UUID]) -> None:
    house.client.post("/v1/pairs/bulk", json={"where": {}, "review": "accepted"})
    lines = house.client.get("/v1/pairs/export", params={"format": "jsonl"}).text
    told = [json.loads(line) for line in lines.splitlines()]
    assert bring(house.client, *told).json() == {"read": 4, "new": 0}
    told[0]["question"] = "Another?"
    first = bring(house.client, *told, headers=KEY)
    assert (first.status_code, first.json()) == (201, {"read": 4, "new": 1})
    assert bring(house.client, *told, headers=KEY).headers["idempotency-replayed"] == "true"
    refused = bring(house.client, told[0], {**told[0], "answer": "x"}, {"question": "a"})
    assert refused.status_code == 422
    assert [line["line"] for line in refused.json()["lines"]] == [2, 3]


def test_kept_pairs_become_a_corpus(house: House) -> None:
    document = add_document(house.sessions, "x" * 60)
    add_pairs(house.sessions, document, *((number, number + 3) for number in range(50)))
    assert house.client.post("/v1/pairs/corpus", json={"name": "qa"}).status_code == 422
    house.client.post("/v1/pairs/bulk", json={"where": {}, "review": "accepted"})
    body = {"name": "qa", "source_language": "en", "licence": "CC0-1.0"}
    made = house.client.post("/v1/pairs/corpus", json=body, headers=KEY)
    assert made.status_code == 201, made.text
    again = house.client.post("/v1/pairs/corpus", json=body, headers=KEY)
    assert again.headers["location"] == made.headers["location"]
    corpus = house.client.get(made.headers["location"]).json()
    assert corpus["train_count"] + corpus["valid_count"] + corpus["test_count"] == 50
    first = house.client.get("/v1/corpora/qa/examples").json()["data"][0]["content"]
    assert first == {"source": "Question 0?", "target": "xxx"}
    more = {"name": "qa", "where": {"score": "sure", "min_score": 2}}
    assert house.client.post("/v1/pairs/corpus", json=more).json()["version"] == 2


def test_a_pair_that_is_not_there_is_not_found(house: House) -> None:
    path = f"/v1/pairs/{uuid4()}"
    assert house.client.get(path).status_code == 404
    for body in ({"review": "new"}, {"question": "a"}):
        assert house.client.patch(path, json=body).status_code == 404
