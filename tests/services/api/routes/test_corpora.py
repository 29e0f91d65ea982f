import json
from datetime import timedelta

import httpx
import pytest

from core.storage.tables import CorpusKind
from tests.services.api.conftest import House
from tests.services.api.rows import NOW, add_corpus, add_job

PAIRS = "question,answer\n" + "".join(f"how {n}?,so {n}.\n" for n in range(60))


def upload(
    client: httpx.Client, *contents: str | bytes, filename: str = "a.csv", **form: object
) -> httpx.Response:
    files = [("file", (filename, content)) for content in contents]
    data = {"name": "talk", "kind": "pairs", **form}
    return client.post("/v1/corpora", data=data, files=files)


def test_a_file_becomes_a_corpus_with_splits(client: httpx.Client) -> None:
    answer = upload(client, PAIRS, source_language="en", licence="CC0-1.0")
    assert answer.status_code == 201, answer.text
    corpus = answer.json()
    assert answer.headers["location"] == f"/v1/corpora/{corpus['id']}"
    assert (corpus["name"], corpus["version"], corpus["kind"]) == ("talk", 1, "pairs")
    assert corpus["train_count"] + corpus["valid_count"] + corpus["test_count"] == 60
    assert corpus["bytes"] == len(PAIRS)
    assert (corpus["source_language"], corpus["licence"]) == ("en", "CC0-1.0")


def test_several_files_become_one_corpus(client: httpx.Client) -> None:
    more = PAIRS.replace("how", "why")
    corpus = upload(client, PAIRS, more).json()
    assert corpus["train_count"] + corpus["valid_count"] + corpus["test_count"] == 120


def test_columns_can_be_named_or_numbered(client: httpx.Client) -> None:
    table = "id\tours\ttheirs\n" + "".join(f"{n}\tso {n}\thow {n}\n" for n in range(60))
    named = upload(client, table, filename="a.tsv", source="theirs", target="ours", header="true")
    numbered = upload(client, table, filename="a.tsv", source="3", target="2", header="true")
    for answer in (named, numbered):
        assert answer.status_code == 201, answer.text
        first = client.get(f"{answer.headers['location']}/examples").json()["data"][0]
        assert first["content"] == {"source": "how 0", "target": "so 0"}


def test_passages_keep_their_answers_in_characters(client: httpx.Client) -> None:
    answer = {"text": "쌍문동", "answer_start": 6}
    paragraphs = [
        {
            "context": f"{n} 서울 쌍문동 👍🏽 e\u0301",
            "qas": [{"question": "어디?", "answers": [answer]}],
        }
        for n in range(10, 30)
    ]
    data = [{"title": f"title {n}", "paragraphs": [one]} for n, one in enumerate(paragraphs)]
    made = upload(client, json.dumps({"data": data}).encode(), filename="a.json", kind="passages")
    assert made.status_code == 201, made.text
    shown = client.get(f"/v1/corpora/{made.json()['id']}/examples").json()["data"][0]["content"]
    (asked,) = shown["questions"]
    span = asked["answers"][0]
    assert shown["context"].endswith("e\u0301")
    assert shown["context"][span["start"] : span["end"]] == "쌍문동"


def test_dialogues_are_read_from_jsonl(client: httpx.Client) -> None:
    lines = "\n".join(json.dumps({"turns": [f"hi {n}", "hello", "bye"]}) for n in range(60))
    answer = upload(client, lines, filename="a.jsonl", kind="dialogues")
    assert answer.status_code == 201, answer.text
    assert answer.json()["kind"] == "dialogues"


def test_a_name_that_is_taken_gets_a_new_version(client: httpx.Client) -> None:
    first, second = upload(client, PAIRS).json(), upload(client, PAIRS).json()
    assert (first["version"], second["version"]) == (1, 2)
    assert client.get("/v1/corpora/talk").json()["id"] == second["id"]
    assert client.get("/v1/corpora/talk@1").json()["id"] == first["id"]
    assert client.get(f"/v1/corpora/{first['id']}").json()["version"] == 1


def test_bad_lines_are_listed_and_nothing_is_kept(client: httpx.Client) -> None:
    spoilt = PAIRS + "no answer,\nonly one column\n"
    answer = upload(client, spoilt)
    assert answer.status_code == 422
    problem = answer.json()
    assert [line["line"] for line in problem["lines"]] == [62, 63]
    assert problem["errors"][0]["field"] == "file"
    assert client.get("/v1/corpora").json()["data"] == []


def test_bad_lines_may_be_left_out_if_said_so(client: httpx.Client) -> None:
    answer = upload(client, PAIRS + "no answer,\n", bad_line_limit=1)
    assert answer.status_code == 201
    assert answer.json()["bad_lines"] == 1


@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (b"", "a.csv"),
        (b"question,answer\n", "a.csv"),
        (b"\xff\xfe\x00", "a.csv"),
        (b"what\nis\nthis", "a.csv"),
        (PAIRS, "a.pdf"),
        (b'{"source": "\\ud800", "target": "b"}\n' * 60, "a.jsonl"),
        (b'{"source": "\\u0000", "target": "b"}\n' * 60, "a.jsonl"),
        (b"[" * 60_000, "a.jsonl"),
    ],
)
def test_a_file_that_is_no_corpus_is_refused(
    client: httpx.Client, content: bytes | str, filename: str
) -> None:
    answer = upload(client, content, filename=filename)
    assert answer.status_code == 422, answer.text
    assert client.get("/v1/corpora").json()["data"] == []


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": "Talk"}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"name": "0b6f3f0e-6a3c-4a0e-9a39-4f5f1d0c7a11"}, "name"),
        ({"kind": "songs"}, "kind"),
        ({"format": "pdf"}, "format"),
        ({"licence": "a\x00b"}, "licence"),
        ({"source": "a" * 201}, "source"),
        ({"source_language": "no language"}, "source_language"),
        ({"bad_line_limit": -1}, "bad_line_limit"),
        ({"bad_line_limit": 10**30}, "bad_line_limit"),
        ({"valid_share": "nan"}, "valid_share"),
        ({"valid_share": 0.6, "test_share": 0.6}, "body"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_form_is_refused_by_field(client: httpx.Client, form: dict, field: str) -> None:
    answer = upload(client, PAIRS, **form)
    assert answer.status_code == 422, answer.text
    assert field in [fault["field"] for fault in answer.json()["errors"]]


def test_an_upload_without_a_file_is_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/corpora", data={"name": "talk", "kind": "pairs"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "file"


def test_examples_are_read_page_by_page_and_by_split(house: House) -> None:
    add_corpus(house.sessions, train=3, valid=1)
    path = "/v1/corpora/talk/examples"
    first = house.client.get(path, params={"limit": 3}).json()
    rest = house.client.get(path, params={"limit": 3, "after": first["next"]}).json()
    assert [one["line"] for one in first["data"] + rest["data"]] == [1, 2, 3, 4]
    assert rest["next"] is None
    held_out = house.client.get(path, params={"split": "valid"}).json()["data"]
    assert [one["line"] for one in held_out] == [4]
    assert house.client.get(path, params={"after": 10**30}).status_code == 422


def test_corpora_are_listed_newest_first_and_page_by_page(house: House) -> None:
    ids = [str(add_corpus(house.sessions, now=NOW + timedelta(seconds=n)).id) for n in range(3)]
    first = house.client.get("/v1/corpora", params={"limit": 2}).json()
    rest = house.client.get("/v1/corpora", params={"before": first["next"]}).json()
    assert [one["id"] for one in first["data"] + rest["data"]] == ids[::-1]


def test_a_corpus_is_deleted_unless_a_job_uses_it(house: House) -> None:
    add_corpus(house.sessions, name="free")
    used = add_corpus(house.sessions, name="used", kind=CorpusKind.DIALOGUES)
    job = add_job(house.sessions, used.id).id
    assert house.client.delete("/v1/corpora/free").status_code == 204
    assert house.client.get("/v1/corpora/free").status_code == 404
    refused = house.client.delete("/v1/corpora/used")
    assert refused.status_code == 409
    assert str(job) in refused.json()["detail"]


@pytest.mark.parametrize("ref", ["nothing", "talk@9", "0b6f3f0e-6a3c-4a0e-9a39-4f5f1d0c7a11"])
def test_an_unknown_corpus_is_not_found(house: House, ref: str) -> None:
    add_corpus(house.sessions)
    for path in ("", "/examples"):
        assert house.client.get(f"/v1/corpora/{ref}{path}").status_code == 404
    assert house.client.delete(f"/v1/corpora/{ref}").status_code == 404


@pytest.mark.parametrize("ref", ["a%00b", "talk@x", "talk@99999999999", "%F0%9F%92%A9"])
def test_a_ref_that_is_none_is_refused(client: httpx.Client, ref: str) -> None:
    assert client.get(f"/v1/corpora/{ref}").status_code == 422
