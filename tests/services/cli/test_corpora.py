from pathlib import Path

import pytest

from tests.services.api.rows import add_corpus, add_job
from tests.services.cli.conftest import Malgil, Server


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.csv"
    rows = [f"Is {number} a number?,Yes {number} is" for number in range(40)]
    file.write_text("question,answer\n" + "\n".join(rows) + "\n")
    return file


ADD = ("--name", "talk", "--source", "question", "--target", "answer")


def test_files_become_one_corpus_and_can_be_looked_at(
    server: Server, malgil: Malgil, pairs: Path
) -> None:
    ran = malgil("corpus", "add", pairs, *ADD, "--source-language", "en", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert (ran.data["name"], ran.data["version"], ran.data["kind"]) == ("talk", 1, "pairs")
    listed = malgil("corpus", "list")
    assert "talk@1" in listed.out
    shown = malgil("corpus", "show", "talk", "--examples", "3")
    assert ran.data["id"] in shown.out
    assert "Is 0 a number?" in shown.out
    data = malgil("corpus", "show", "talk@1", "--examples", "3", "--json").data
    assert [one["line"] for one in data["examples"]] == [2, 3, 4]


def test_two_files_go_into_one_version(server: Server, malgil: Malgil, tmp_path: Path) -> None:
    files = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for number, file in enumerate(files):
        file.write_text(f"source,target\nfrom file {number},yes\n")
    shares = ("--valid-share", "0", "--test-share", "0")
    data = malgil("corpus", "add", *files, "--name", "talk", *shares, "--json").data
    assert data["train_count"] == 2


def test_every_bad_line_is_told(server: Server, malgil: Malgil, tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("source,target\nfine,fine\nno answer,\nfine,fine\n,no question\n")
    ran = malgil("corpus", "add", file, "--name", "talk", "--bad-line-limit", "0")
    assert (ran.code, ran.out) == (2, "")
    assert "line 3: " in ran.err
    assert "line 5: " in ran.err
    error = malgil("corpus", "add", file, "--name", "talk", "--bad-line-limit", "0", "--json").data[
        "error"
    ]
    assert [line["line"] for line in error["lines"]] == [3, 5]


def test_a_field_that_does_not_fit_is_told(server: Server, malgil: Malgil, pairs: Path) -> None:
    ran = malgil("corpus", "add", pairs, "--name", "No Such Name")
    assert ran.code == 2
    assert "name: " in ran.err


def test_a_file_that_is_not_there_is_wrong_usage(malgil: Malgil, tmp_path: Path) -> None:
    ran = malgil("corpus", "add", tmp_path / "none.csv", "--name", "talk", "--json")
    assert ran.code == 2
    assert "none.csv" in ran.data["error"]["detail"]


def test_one_version_is_deleted(server: Server, malgil: Malgil) -> None:
    add_corpus(server.sessions)
    assert malgil("corpus", "delete", "talk").out == "Deleted talk@1.\n"
    assert malgil("corpus", "show", "talk").code == 2


def test_a_corpus_that_is_used_is_not_deleted(server: Server, malgil: Malgil) -> None:
    add_job(server.sessions)
    ran = malgil("corpus", "delete", "talk")
    assert ran.code == 2
    assert "Error: " in ran.err


def test_markup_in_a_text_is_only_text(server: Server, malgil: Malgil, tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("source,target\n[bold]not bold[/bold],[/red]\n")
    shares = ("--valid-share", "0", "--test-share", "0")
    malgil("corpus", "add", file, "--name", "talk", *shares)
    assert "[bold]not bold[/bold]  [/red]" in malgil("corpus", "show", "talk").out


def test_columns_can_be_numbers_where_there_is_no_header(
    server: Server, malgil: Malgil, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("hello\t1\tgood day\n")
    more = ("--no-header", "--source", "1", "--target", "3", "--valid-share", 0, "--test-share", 0)
    malgil("corpus", "add", file, "--name", "talk", *more)
    data = malgil("corpus", "show", "talk", "--json").data
    assert data["examples"][0]["content"] == {"source": "hello", "target": "good day"}


def test_running_text_is_kept_in_its_order(server: Server, malgil: Malgil, tmp_path: Path) -> None:
    file = tmp_path / "book.txt"
    file.write_text("".join(f"paragraph {n}\n\n" for n in range(20)))
    data = malgil("corpus", "add", file, "--name", "book", "--kind", "text", "--json").data
    assert (data["kind"], data["train_count"], data["valid_count"]) == ("text", 19, 1)
    shown = malgil("corpus", "show", "book", "--examples", "2")
    assert [line.split() for line in shown.out.splitlines()[-2:]] == [
        ["train", "1", "paragraph", "0"],
        ["train", "3", "paragraph", "1"],
    ]


def test_mails_and_given_splits_are_read_as_told(
    server: Server, malgil: Malgil, tmp_path: Path
) -> None:
    file = tmp_path / "mails.csv"
    file.write_text("re,text,answer,for\nHours,When?,At nine.,train\n,Where?,Here.,valid\n")
    told = ("--source", "text", "--target", "answer", "--subject", "re", "--split", "for")
    data = malgil("corpus", "add", file, "--name", "mails", *told, "--json").data
    assert (data["train_count"], data["valid_count"], data["test_count"]) == (1, 1, 0)
    first = malgil("corpus", "show", "mails", "--json").data["examples"][0]
    assert first["content"] == {"source": "Hours\nWhen?", "target": "At nine."}
