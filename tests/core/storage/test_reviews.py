from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

from core.errors import InputError, NotFoundError
from core.storage import pairs, reviews
from core.storage.pairs import PairFilter
from core.storage.tables import GeneratedPair, ReviewState
from tests.core.storage.documents import TEXT, add_document, pair_about
from tests.core.storage.rows import NOW, later

NEW, ACCEPTED, REJECTED, EDITED = (
    ReviewState.NEW,
    ReviewState.ACCEPTED,
    ReviewState.REJECTED,
    ReviewState.EDITED,
)


@pytest.fixture
def pair(session: Session) -> GeneratedPair:
    pairs.put(session, [pair_about(add_document(session), "수도")], now=NOW)
    (pair,) = pairs.page(session, limit=2)
    return pair


def test_a_verdict_says_who_and_when(session: Session, pair: GeneratedPair) -> None:
    for verdict in (ACCEPTED, REJECTED):
        reviewed = reviews.review(session, pair.id, verdict, by="kim", now=later(1))
        assert (reviewed.review, reviewed.reviewed_by) == (verdict, "kim")
        assert reviewed.reviewed_at == later(1)
    back = reviews.review(session, pair.id, NEW, by="kim", now=later(2))
    assert (back.review, back.reviewed_by, back.reviewed_at) == (NEW, None, None)


def test_an_edit_stands_beside_the_pair(session: Session, pair: GeneratedPair) -> None:
    start = TEXT.index("한국")
    edited = reviews.edit(
        session, pair.id, question=" 왜?\n", answer_start=start, by="lee", now=later(1)
    )
    assert (edited.review, edited.reviewed_by, edited.reviewed_at) == (EDITED, "lee", later(1))
    assert (edited.question, edited.answer) == ("Which?", "수도")
    assert reviews.current(edited) == reviews.Current(
        "왜?", TEXT[start : edited.answer_end], start, edited.answer_end
    )
    again = reviews.edit(session, pair.id, answer_end=start + 2, by=None, now=later(2))
    assert (again.edited_question, again.edited_answer) == ("왜?", "한국")


def test_what_was_edited_outlives_everything_but_new(session: Session, pair: GeneratedPair) -> None:
    reviews.edit(session, pair.id, question="왜?", by=None, now=NOW)
    rejected = reviews.review(session, pair.id, REJECTED, by=None, now=NOW)
    assert rejected.edited_question == "왜?"
    accepted = reviews.review(session, pair.id, ACCEPTED, by=None, now=NOW)
    assert (accepted.review, accepted.edited_question) == (EDITED, "왜?")
    back = reviews.review(session, pair.id, NEW, by=None, now=NOW)
    edits = (back.edited_question, back.edited_answer, back.edited_start, back.edited_end)
    assert edits == (None, None, None, None)


def test_an_edit_that_leaves_nothing_edited_accepts(session: Session, pair: GeneratedPair) -> None:
    reviews.edit(session, pair.id, question="왜?", by=None, now=NOW)
    kept = reviews.edit(session, pair.id, question="Which?", by=None, now=NOW)
    assert (kept.review, kept.edited_question, kept.edited_start) == (ACCEPTED, None, None)


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"question": ""}, "question"),
        ({"answer_start": 999}, "answer_start"),
        ({"answer_end": 0}, "answer_start"),
        ({"answer_start": 3, "answer_end": 4}, "answer_start"),
    ],
)
def test_an_edit_that_is_none_changes_nothing(
    session: Session, pair: GeneratedPair, edit: dict, field: str
) -> None:
    with pytest.raises(InputError) as caught:
        reviews.edit(session, pair.id, **edit, by=None, now=NOW)
    assert caught.value.field == field
    assert pairs.get(session, pair.id).review == NEW


def test_many_are_reviewed_at_once_and_counted(session: Session, pair: GeneratedPair) -> None:
    document = pair.document_id
    more = [pair_about(add_document(session), "Han", f"{number}?") for number in range(4)]
    pairs.put(session, more, now=NOW)
    ids = [pairs.identify(one) for one in more]
    reviews.edit(session, ids[0], question="edited?", by=None, now=NOW)

    def verdict(state: ReviewState, **wanted: object) -> int:
        return reviews.review_many(session, PairFilter(**wanted), state, by="kim", now=NOW)

    assert verdict(REJECTED, ids=[*ids[2:], uuid4()]) == 2
    assert verdict(ACCEPTED, document_id=document, reviews=[NEW, EDITED]) == 3
    assert pairs.counts(session) == {NEW: 0, ACCEPTED: 2, REJECTED: 2, EDITED: 1}
    assert verdict(ACCEPTED, ids=[]) == 0
    with pytest.raises(InputError):
        verdict(EDITED, ids=ids)


def test_what_is_not_there_is_not_found(session: Session) -> None:
    nobody: UUID = uuid4()
    with pytest.raises(NotFoundError, match="no pair"):
        reviews.review(session, nobody, ACCEPTED, by=None, now=NOW)
    with pytest.raises(NotFoundError):
        reviews.edit(session, nobody, question="a", by=None, now=NOW)
