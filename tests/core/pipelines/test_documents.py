from io import BytesIO

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.errors import InputError
from core.pipelines.documents import collect
from core.storage import documents
from tests.core.storage.rows import NOW


def kept(sessions: sessionmaker[Session]) -> int:
    with sessions() as session:
        return len(documents.page(session, before=None, limit=100))


def test_files_become_documents_once(sessions: sessionmaker[Session]) -> None:
    files = [("a.txt", BytesIO("말길".encode())), ("b.md", BytesIO(b"# B\n\ntext"))]
    first = collect(files, language="ko", sessions=sessions, now=NOW)
    assert [(one.document.title, one.document.format, one.new) for one in first] == [
        ("a", "text", True),
        ("B", "markdown", True),
    ]
    assert (first[0].document.bytes, first[0].document.length) == (6, 2)
    again = collect([("c.html", BytesIO("<p>말길".encode()))], sessions=sessions, now=NOW)
    assert (again[0].document.id, again[0].new) == (first[0].document.id, False)
    assert again[0].document.name == "a.txt"


def test_one_wrong_file_leaves_nothing_of_the_others(sessions: sessionmaker[Session]) -> None:
    files = [("a.txt", BytesIO(b"fine")), ("b.txt", BytesIO(b"\xff"))]
    with pytest.raises(InputError, match=r"b\.txt: line 1"):
        collect(files, sessions=sessions, now=NOW)
    assert kept(sessions) == 0


def test_a_title_is_that_of_one_document(sessions: sessionmaker[Session]) -> None:
    file = BytesIO(b'{"text": "a"}\n{"text": "b"}\n')
    with pytest.raises(InputError, match="there are 2"):
        collect([("a.jsonl", file)], title="T", sessions=sessions, now=NOW)
    assert kept(sessions) == 0
    (one,) = collect([("x", BytesIO(b"c"))], title="T", format="text", sessions=sessions, now=NOW)
    assert one.document.title == "T"


def test_no_file_is_no_request(sessions: sessionmaker[Session]) -> None:
    with pytest.raises(InputError, match="no file"):
        collect([], sessions=sessions, now=NOW)
