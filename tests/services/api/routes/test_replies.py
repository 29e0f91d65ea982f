import json

import httpx
import pytest

from core.errors import InboxFullError, NotFoundError, ReplyTimeoutError
from tests.services.api.conftest import House


def events(answer: httpx.Response) -> list[tuple[str, dict]]:
    """Read server-sent events as (name, data)."""
    found = []
    for block in answer.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_a_text_gets_a_reply(house: House) -> None:
    answer = house.client.post("/v1/replies", json={"model": "bot", "text": "abc"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["text"], body["score"], body["model"]) == ("cba", -0.25, "bot")
    assert body["alternatives"] == []
    assert body["timing"]["total_ms"] > 0
    assert house.inbox.asked[0].turns == ("abc",)
    assert house.inbox.asked[0].timeout_s == 30.0


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/ld+json"])
def test_however_json_is_called_the_reply_is_the_same(house: House, kind: str) -> None:
    body = json.dumps({"model": "bot", "text": "abc"})
    short, long = (
        house.client.post("/v1/replies", content=body, headers={"content-type": name})
        for name in ("application/json", kind)
    )
    assert short.status_code == long.status_code == 200
    assert short.headers["content-type"] == long.headers["content-type"]
    one, other = ({**answer.json(), "id": "", "timing": {}} for answer in (short, long))
    assert one == other


def test_messages_go_along_as_turns(house: House) -> None:
    messages = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    body = {"model": "bot", "messages": messages, "timeout_s": 2.5}
    assert house.client.post("/v1/replies", json=body).json()["text"] == "eerht"
    assert house.inbox.asked[0].turns == ("one", "two", "three")
    assert house.inbox.asked[0].timeout_s == 2.5


def test_only_the_options_that_were_said_go_along(house: House) -> None:
    body = {"model": "bot", "text": "abc", "decode": {"n_best": 3}}
    answer = house.client.post("/v1/replies", json=body).json()
    assert house.inbox.asked[0].decode == {"n_best": 3}
    assert [one["text"] for one in answer["alternatives"]] == ["cba!", "cba!!"]


def test_how_an_answer_came_about_is_told_where_it_is_asked(house: House) -> None:
    body = {"model": "bot", "text": "ab", "decode": {"n_best": 2}}
    plain = house.client.post("/v1/replies", json=body).json()
    assert "details" not in plain
    assert "details" not in plain["alternatives"][0]
    told = house.client.post("/v1/replies", json={**body, "details": True}).json()
    wanted = {"tokens": ["b", "a"], "log_probs": [-0.5]}
    assert told["details"] == told["alternatives"][0]["details"] == wanted
    answer = house.client.post("/v1/replies", json={**body, "details": True, "stream": True})
    assert events(answer)[-1][1]["details"] == wanted


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "bot"}, "body"),
        ({"model": "bot", "text": "a", "messages": [{"role": "user", "content": "b"}]}, "body"),
        ({"model": "bot", "messages": [{"role": "assistant", "content": "b"}]}, "body"),
        ({"model": "bot", "messages": []}, "messages"),
        ({"model": "bot", "text": ""}, "text"),
        ({"model": "bot", "text": "  \n"}, "text"),
        ({"model": "bot", "text": "a\x00b"}, "text"),
        ({"model": "bot", "text": "a" * 10_001}, "text"),
        ({"model": "a b", "text": "a"}, "model"),
        ({"model": "bot", "text": "a", "timeout_s": 0}, "timeout_s"),
        ({"model": "bot", "text": "a", "timeout_s": 1e9}, "timeout_s"),
        ({"model": "bot", "text": "a", "decode": {"beam_size": 2, "n_best": 3}}, "decode"),
        ({"model": "bot", "text": "a", "decode": {"beam_size": 10**30}}, "decode.beam_size"),
        (
            {"model": "bot", "messages": [{"role": "user", "content": "\x00"}]},
            "messages.0.content",
        ),
    ],
)
def test_a_wrong_request_is_refused_by_field_and_never_asked(
    house: House, body: dict, field: str
) -> None:
    answer = house.client.post("/v1/replies", json=body)
    assert answer.status_code == 422, answer.text
    assert field in [fault["field"] for fault in answer.json()["errors"]]
    assert house.inbox.asked == []


def test_the_longest_text_is_accepted(client: httpx.Client) -> None:
    body = {"model": "bot", "text": "가" * 10_000}
    assert client.post("/v1/replies", json=body).status_code == 200


def test_a_stream_brings_pieces_and_then_the_whole_reply(client: httpx.Client) -> None:
    body = {"model": "bot", "text": "abc\n", "stream": True}
    answer = client.post("/v1/replies", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    *pieces, (name, last) = events(answer)
    assert [piece["text"] for _, piece in pieces] == ["\n", "c", "b", "a"]
    assert {kind for kind, _ in pieces} == {"piece"}
    assert (name, last["text"], last["model"]) == ("reply", "\ncba", "bot")


def test_a_stream_that_fails_at_once_is_an_http_error(house: House) -> None:
    house.inbox.failures[""] = InboxFullError("full")
    body = {"model": "bot", "text": "abc", "stream": True}
    answer = house.client.post("/v1/replies", json=body)
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("error", "status"), [(ReplyTimeoutError("late"), 504), (RuntimeError("secret"), 500)]
)
def test_a_stream_that_fails_later_ends_with_an_error_event(
    house: House, error: Exception, status: int
) -> None:
    house.inbox.failures[""] = error
    house.inbox.pieces_before_failure = 2
    body = {"model": "bot", "text": "abc", "stream": True}
    answer = house.client.post("/v1/replies", json=body)
    assert answer.status_code == 200
    told = events(answer)
    assert [name for name, _ in told] == ["piece", "piece", "error"]
    assert told[-1][1]["status"] == status
    assert "secret" not in answer.text


def test_translations_come_in_order_and_nothing_stays_nothing(house: House) -> None:
    body = {"model": "ko-en", "texts": ["ab", "", "cd", "  "], "decode": {"beam_size": 2}}
    answer = house.client.post("/v1/translations", json=body)
    assert answer.json()["translations"] == [
        {"text": "ba", "score": -0.25},
        {"text": "", "score": 0.0},
        {"text": "dc", "score": -0.25},
        {"text": "", "score": 0.0},
    ]
    assert sorted(asked.turns for asked in house.inbox.asked) == [("ab",), ("cd",)]
    assert {asked.priority for asked in house.inbox.asked} == {1}, "talks go first"
    told = house.client.post("/v1/translations", json={**body, "details": True}).json()
    assert told["translations"][0]["details"] == {"tokens": ["b", "a"], "log_probs": [-0.5]}
    assert "details" not in told["translations"][1]


def test_one_translation_that_fails_fails_all(house: House) -> None:
    house.inbox.failures["cd"] = NotFoundError("model", "ko-en")
    answer = house.client.post("/v1/translations", json={"model": "ko-en", "texts": ["ab", "cd"]})
    assert answer.status_code == 404


@pytest.mark.parametrize("texts", [[], ["a"] * 257, ["\x00"], ["a" * 10_001], "abc", [None]])
def test_wrong_lists_of_texts_are_refused(house: House, texts: object) -> None:
    answer = house.client.post("/v1/translations", json={"model": "ko-en", "texts": texts})
    assert answer.status_code == 422
    assert house.inbox.asked == []
