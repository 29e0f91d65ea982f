"""Documents that tests begin with."""

from sqlalchemy.orm import Session

from core.storage import documents
from core.storage.pairs import NewPair
from core.storage.tables import Document
from tests.core.storage.rows import NOW

TEXT = "서울은 한국의 수도이다. 👩\u200d👧 The river is the Han. cafe\u0301 끝."


def add_document(session: Session, text: str = TEXT, title: str = "Seoul") -> Document:
    """Keep a document."""
    document, _ = documents.add(
        session,
        title=title,
        text=text,
        language="ko",
        name="seoul.txt",
        format="text",
        bytes_=len(text.encode()),
        now=NOW,
    )
    return document


def pair_about(document: Document, words: str, question: str = "Which?", **more: object) -> NewPair:
    """Return a pair whose answer is the first such words of TEXT."""
    start = TEXT.index(words)
    place = {"answer_start": start, "answer_end": start + len(words)}
    return NewPair(document_id=document.id, question=question, **{**place, **more})
