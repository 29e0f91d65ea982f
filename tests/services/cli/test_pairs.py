import json
from pathlib import Path
from uuid import UUID

from core.storage import reviews
from core.storage.tables import ReviewState
from tests.core.data.test_exports import read_strictly
from tests.services.api.rows import NOW, add_document, add_pairs
from tests.services.cli.conftest import Malgil, Server


def fill(server: Server, count: int = 4) -> list[str]:
    document = add_document(server.sessions)
    places = [(number, number + 4) for number in range(count)]
    return [str(one) for one in add_pairs(server.sessions, document, *places)]


def test_pairs_are_listed_and_found(server: Server, malgil: Malgil) -> None:
    ids = fill(server)
    listed = malgil("pairs", "list")
    assert all(one in listed.out for one in ids)
    assert "sure 0.3" in listed.out
    chosen = malgil("pairs", "list", "--score", "sure", "--min-score", "0.2", "--json").data
    assert [pair["id"] for pair in chosen["data"]] == ids[2:]
    assert malgil("pairs", "list", "--text", "question 1", "--json").data["data"][0]["id"] == ids[1]
    assert len(malgil("pairs", "list", "--limit", "3", "--json").data["data"]) == 3
    assert malgil("pairs", "list", "--review", "accepted", "--json").data["data"] == []
    assert malgil("pairs", "list", "--score", "sure").code == 2


def test_more_pairs_than_a_page_are_listed(server: Server, malgil: Malgil) -> None:
    document = add_document(server.sessions, "x" * 300)
    add_pairs(server.sessions, document, *((number, number + 3) for number in range(250)))
    listed = malgil("pairs", "list", "--limit", "1000", "--json").data["data"]
    assert len({pair["id"] for pair in listed}) == 250


def test_pairs_go_out_and_in(server: Server, malgil: Malgil, tmp_path: Path) -> None:
    ids = fill(server)
    file = tmp_path / "pairs.json"
    states = ("--review", "new", "--review", "accepted")
    ran = malgil("pairs", "export", file, "--format", "squad", *states)
    assert (ran.code, ran.err) == (0, "")
    assert [one for one, _, _ in read_strictly(file.read_text(), "1.1")] == ids
    refused = malgil("pairs", "export", file, "--format", "csv")
    assert refused.code == 2
    assert "--force" in refused.err
    told = malgil("pairs", "export", file, "--format", "jsonl", *states, "--force", "--json").data
    assert told == {"file": str(file), "bytes": file.stat().st_size}
    line = json.loads(file.read_text().splitlines()[0])
    mine = tmp_path / "mine.jsonl"
    mine.write_text(json.dumps({**line, "question": "Mine?"}) + "\n" + json.dumps(line) + "\n")
    assert malgil("pairs", "import", mine, "--json").data == {"read": 2, "new": 1 + 0}
    assert "0 of them new" in malgil("pairs", "import", mine).out
    mine.write_text('{"question": "no document"}\n')
    ran = malgil("pairs", "import", mine)
    assert ran.code == 2
    assert "line 1: document_id" in ran.err


def test_an_export_that_is_refused_leaves_no_file(
    server: Server, malgil: Malgil, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.csv"
    assert malgil("pairs", "export", file, "--format", "csv", "--score", "sure").code == 2
    assert list(tmp_path.glob("*pairs.csv*")) == []


def test_pairs_become_a_corpus(server: Server, malgil: Malgil) -> None:
    fill(server, 40)
    assert malgil("pairs", "corpus", "--name", "qa").code == 2
    ran = malgil("pairs", "corpus", "--name", "qa", "--review", "new", "--source-language", "en")
    assert ran.out == "Made qa@1 of 40 pairs.\n"
    shares = ("--valid-share", 0, "--test-share", 0)
    again = malgil("pairs", "corpus", "--name", "qa", "--review", "new", *shares, "--json").data
    assert (again["version"], again["train_count"]) == (2, 40)
    assert malgil("corpus", "show", "qa@1", "--json").data["source_language"] == "en"


def test_kept_answers_are_found_by_a_question(server: Server, malgil: Malgil) -> None:
    ids = fill(server)
    assert malgil("pairs", "nearest", "Question 1?", "--json").data["data"] == []
    with server.sessions.begin() as session:
        reviews.review(session, UUID(ids[1]), ReviewState.ACCEPTED, by=None, now=NOW)
    (found,) = malgil("pairs", "nearest", "question 1", "--json").data["data"]
    assert (found["pair_id"], found["similarity"]) == (ids[1], 1.0)
    assert "Question 1?" in malgil("pairs", "nearest", "question 1").out
    assert malgil("pairs", "nearest", "question 1", "--least", "0.1").code == 2


def test_pairs_become_passages_to_learn_asking_from(server: Server, malgil: Malgil) -> None:
    fill(server)
    ran = malgil("pairs", "corpus", "--name", "asked", "--kind", "passages", "--review", "new")
    assert ran.code == 2
    assert "too few different sources" in ran.err
    document = add_document(server.sessions, "Another text. " * 30, title="More")
    add_pairs(server.sessions, document, (0, 7))
    made = malgil(
        "pairs", "corpus", "--name", "asked", "--kind", "passages", "--review", "new", "--json"
    ).data
    assert (made["kind"], made["train_count"] + made["valid_count"]) == ("passages", 2)
