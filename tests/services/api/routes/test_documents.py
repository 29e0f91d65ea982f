import json
from datetime import timedelta

import httpx
import pytest

from services.api.app import create_app
from tests.core.data.documents.files import pdf
from tests.services.api.conftest import House, open_house
from tests.services.api.rows import NOW, add_document, add_pairs
from tests.services.api.serving import served

KEY = {"Idempotency-Key": "k-1"}


def upload(
    client: httpx.Client, *files: tuple[str, bytes], headers: dict | None = None, **form: object
) -> httpx.Response:
    parts = [("file", file) for file in files]
    return client.post("/v1/documents", data=form, files=parts, headers=headers)


def test_files_of_several_kinds_become_documents(client: httpx.Client) -> None:
    answer = upload(
        client,
        ("a.md", "# 제목\n\n말길".encode()),
        ("b.pdf", pdf(["A line."])),
        ("c.jsonl", b'{"text": "one", "title": "One", "language": "en"}\n{"text": "two"}\n'),
        language="ko",
    )
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["new"], told["known"]) == (4, 0)
    assert [(one["title"], one["format"], one["language"]) for one in told["data"]] == [
        ("제목", "markdown", "ko"),
        ("b", "pdf", "ko"),
        ("One", "jsonl", "en"),
        ("c.jsonl:2", "jsonl", "ko"),
    ]
    shown = client.get(f"/v1/documents/{told['data'][0]['id']}").json()
    assert shown["text"] == "제목\n\n말길"
    assert shown["length"] == 6


def test_a_text_that_is_there_is_returned_and_not_doubled(client: httpx.Client) -> None:
    first = upload(client, ("a.txt", b"same")).json()
    again = upload(client, ("b.txt", b"same\r\n"), ("c.txt", b"other")).json()
    assert (again["new"], again["known"]) == (1, 1)
    assert again["data"][0] == first["data"][0]
    told = client.post("/v1/documents/text", json={"text": "<p>same", "format": "html"})
    assert told.json()["id"] == first["data"][0]["id"]
    assert len(client.get("/v1/documents").json()["data"]) == 2


def test_an_upload_that_is_sent_again_is_read_once(client: httpx.Client) -> None:
    first = upload(client, ("a.txt", b"text"), headers=KEY)
    again = upload(client, ("a.txt", b"text"), headers=KEY)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert upload(client, ("a.txt", b"more"), headers=KEY).status_code == 422


def test_a_text_by_itself_is_kept(client: httpx.Client) -> None:
    html = '<meta charset="euc-kr"><p>말길 &amp; more'
    body = {"text": html, "format": "html", "title": " A\ntitle ", "language": "ko"}
    answer = client.post("/v1/documents/text", json=body)
    assert answer.status_code == 201, answer.text
    told = client.get(answer.headers["location"]).json()
    assert (told["text"], told["title"], told["language"]) == ("말길 & more", "A title", "ko")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (("a.txt", b""), "a.txt: there is no text"),
        (("a.txt", b"fine\n\xff"), "a.txt: line 2"),
        (("a.txt", b"a\0b"), "a.txt: no text: byte 2"),
        (("a.pdf", b"no pdf"), "a.pdf: no PDF"),
        (("a.pdf", pdf(["x"], password="secret")), "a.pdf: it is encrypted"),
        (("a.pdf", pdf([])), "a.pdf: none of its 1 pages"),
        (("a.json", b'{"data": [{"title": "a"}]}'), "a.json: data[0].paragraphs"),
        (("a.docx", b"text"), "a.docx: "),
    ],
)
def test_a_file_that_is_no_document_is_refused_and_nothing_kept(
    client: httpx.Client, file: tuple[str, bytes], words: str
) -> None:
    answer = upload(client, ("fine.txt", b"fine"), file)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert client.get("/v1/documents").json()["data"] == []


def test_lines_at_fault_are_listed(client: httpx.Client) -> None:
    problem = upload(client, ("a.jsonl", b'{"text": "a"}\n{}\n[]\n')).json()
    assert [line["line"] for line in problem["lines"]] == [2, 3]


def test_more_than_may_be_uploaded_is_refused(client: httpx.Client) -> None:
    assert upload(client, ("a.txt", b"a" * 2**20)).status_code == 413


@pytest.mark.parametrize(
    "body",
    [{}, {"text": ""}, {"text": " \n"}, {"text": "a\0"}, {"text": "a", "format": "pdf"}],
)
def test_a_text_that_is_none_is_refused(client: httpx.Client, body: dict) -> None:
    assert client.post("/v1/documents/text", json=body).status_code == 422


def test_passages_are_slices_page_by_page(house: House) -> None:
    text = "\n\n".join(f"Paragraph {number} 말길 👩\u200d👧." for number in range(7))
    path = f"/v1/documents/{add_document(house.sessions, text).id}/passages"
    found, after = [], 0
    while after is not None:
        params = {"min_characters": 0, "limit": 3, "after": after}
        page = house.client.get(path, params=params).json()
        found += page["data"]
        after = page["next"]
    assert len(found) == 7
    assert all(text[one["start"] : one["end"]] == one["text"] for one in found)
    (whole,) = house.client.get(path, params={"min_characters": 500}).json()["data"]
    assert whole["text"] == text
    assert house.client.get(path, params={"overlap": 17}).status_code == 422
    assert house.client.get(path, params={"colour": 1}).status_code == 422


def test_documents_are_listed_newest_first(house: House) -> None:
    ids = [
        str(add_document(house.sessions, f"text {n}", now=NOW + timedelta(seconds=n)).id)
        for n in range(3)
    ]
    first = house.client.get("/v1/documents", params={"limit": 2}).json()
    rest = house.client.get("/v1/documents", params={"before": first["next"]}).json()
    assert [one["id"] for one in first["data"] + rest["data"]] == ids[::-1]
    assert "text" not in first["data"][0]


def test_a_document_is_deleted_with_its_pairs_only_if_asked(house: House) -> None:
    document = add_document(house.sessions)
    add_pairs(house.sessions, document)
    path = f"/v1/documents/{document.id}"
    refused = house.client.delete(path)
    assert refused.status_code == 409
    assert "2 pairs" in refused.json()["detail"]
    assert house.client.delete(path, params={"with_pairs": True}).status_code == 204
    assert house.client.get(path).status_code == 404
    assert house.client.get(f"{path}/passages").status_code == 404
    assert house.client.delete(path).status_code == 404


def test_over_a_real_port_an_upload_holds_nobody_up(house: House) -> None:
    settings = house.resources.settings
    with (
        served(create_app(settings, opener=open_house(house.inbox, house.doorbell))) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        data = "\n".join(json.dumps({"text": f"말길 {n}"}) for n in range(500)).encode()
        told = upload(client, ("a.jsonl", data)).json()
        assert told["new"] == 500
        assert client.get("/health").status_code == 200
