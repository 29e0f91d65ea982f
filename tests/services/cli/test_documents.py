from pathlib import Path

from tests.services.api.rows import add_document, add_pairs
from tests.services.cli.conftest import Malgil, Server


def test_files_are_added_once_listed_shown_and_removed(
    server: Server, malgil: Malgil, tmp_path: Path
) -> None:
    first, second = tmp_path / "a.md", tmp_path / "b.txt"
    first.write_text("# 말길\n\nThe road that words take.")
    second.write_text("Another text.")
    ran = malgil("documents", "add", first, second, "--language", "ko")
    assert (ran.code, ran.err) == (0, "")
    assert "2 added, 0 were there already." in ran.out
    again = malgil("documents", "add", first, "--json").data
    assert (again["new"], again["known"]) == (0, 1)
    found = again["data"][0]["id"]
    assert "Another text" not in malgil("documents", "list").out
    assert len(malgil("documents", "list", "--json").data["data"]) == 2
    shown = malgil("documents", "show", found)
    assert "The road that words take." in shown.out
    assert "a.md" in shown.out
    data = malgil("documents", "show", found, "--passages", "1", "--json").data
    assert data["passages"] == [{"start": 0, "end": 29, "text": data["text"]}]
    assert malgil("documents", "remove", found).out == "Removed 말길.\n"
    assert malgil("documents", "show", found).code == 2


def test_a_file_that_is_no_document_is_told_with_its_place(
    server: Server, malgil: Malgil, tmp_path: Path
) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"fine\n\xff")
    ran = malgil("documents", "add", file)
    assert (ran.code, ran.out) == (2, "")
    assert "a.txt: line 2 is not UTF-8" in ran.err
    file = tmp_path / "a.doc"
    file.write_text("text")
    assert malgil("documents", "add", file).code == 2
    assert malgil("documents", "add", file, "--format", "text").code == 0


def test_a_document_with_pairs_is_removed_only_with_them(server: Server, malgil: Malgil) -> None:
    document = add_document(server.sessions)
    add_pairs(server.sessions, document)
    assert "2 pairs" in malgil("documents", "remove", document.id).err
    assert malgil("documents", "remove", document.id, "--with-pairs").code == 0
