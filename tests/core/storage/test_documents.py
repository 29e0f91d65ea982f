from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InvalidRequestError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from core.errors import ConflictError, NotFoundError
from core.storage import documents, pairs
from tests.core.storage.documents import TEXT, add_document, pair_about
from tests.core.storage.rows import NOW


def test_a_text_is_kept_once(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        first = add_document(session)
        again = add_document(session, title="Another name")
        other = add_document(session, TEXT + "!")
    assert first.id == again.id != other.id
    with sessions() as session:
        kept = documents.get(session, first.id, with_text=True)
        assert (kept.text, kept.title, kept.length) == (TEXT, "Seoul", len(TEXT))
        assert documents.texts(session, [first.id]) == {first.id: TEXT}
        assert len(documents.page(session, before=None, limit=10)) == 2


def test_a_list_leaves_the_texts_where_they_are(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        add_document(session)
    with sessions() as session:
        (listed,) = documents.page(session, before=None, limit=10)
        with pytest.raises(InvalidRequestError):
            _ = listed.text


def test_a_document_with_pairs_is_deleted_only_with_them(session: Session) -> None:
    document = add_document(session)
    pairs.put(session, [pair_about(document, "수도")], now=NOW)
    with pytest.raises(ConflictError, match="1 pairs"):
        documents.delete(session, document.id)
    assert documents.delete(session, document.id, with_pairs=True) == 1
    assert pairs.page(session, limit=10) == []
    for ask in (documents.get, documents.delete):
        with pytest.raises(NotFoundError, match="no document"):
            ask(session, document.id)
    with pytest.raises(NotFoundError):
        documents.texts(session, [uuid4()])


def test_a_document_that_pairs_are_put_about_cannot_be_deleted_meanwhile(
    sessions: sessionmaker[Session],
) -> None:
    with sessions.begin() as session:
        document = add_document(session)
    with sessions() as putting, sessions() as deleting:
        sqlite = deleting.get_bind().dialect.name == "sqlite"
        soon = "PRAGMA busy_timeout = 200" if sqlite else "SET lock_timeout = '200ms'"
        deleting.execute(text(soon))
        documents.texts(putting, [document.id], held=True)
        with pytest.raises(OperationalError):
            documents.delete(deleting, document.id)
        deleting.rollback()
        pairs.put(putting, [pair_about(document, "수도")], now=NOW)
        putting.commit()
        with pytest.raises(ConflictError):
            documents.delete(deleting, document.id)
