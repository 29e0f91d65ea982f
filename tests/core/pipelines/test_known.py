from collections.abc import Callable
from datetime import datetime
from threading import Event, Thread
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from core.pipelines.known import Known
from core.specs import KeptSpec
from core.storage import documents, pairs, reviews
from core.storage.pairs import NewPair, PairFilter
from core.storage.session import open_engine, open_sessions
from core.storage.tables import Base, ReviewState
from tests.core.storage.documents import TEXT, add_document
from tests.core.storage.rows import NOW, later

ANY = KeptSpec(least=0.5)
QUESTIONS = (
    "How do I reset my password?",
    "When is the office open on Sundays?",
    "비밀번호를 잊어버리면 어떻게 하나요?",
    "Who built the wall in 1392?",
)


def put_pairs(sessions: sessionmaker[Session]) -> list[UUID]:
    """Put a pair for each of QUESTIONS; return their ids."""
    with sessions.begin() as session:
        document = add_document(session)
        new = [
            NewPair(document_id=document.id, question=one, answer_start=place, answer_end=place + 3)
            for place, one in enumerate(QUESTIONS)
        ]
        pairs.put(session, new, now=NOW)
    return [pairs.identify(one) for one in new]


@pytest.fixture
def ids(sessions: sessionmaker[Session]) -> list[UUID]:
    return put_pairs(sessions)


def review(
    sessions: sessionmaker[Session], pair_id: UUID, verdict: str, *, now: datetime = NOW
) -> None:
    with sessions.begin() as session:
        reviews.review(session, pair_id, ReviewState(verdict), by=None, now=now)


def known(sessions: sessionmaker[Session], now: Callable[[], datetime] = lambda: NOW) -> Known:
    made = Known(sessions, now=now)
    made.refresh()
    return made


def test_what_was_kept_is_found_with_its_place(
    sessions: sessionmaker[Session], ids: list[UUID]
) -> None:
    review(sessions, ids[0], "accepted")
    review(sessions, ids[2], "accepted")
    here = known(sessions)
    assert len(here) == 2
    (found,) = here.like("how do i reset my password", ANY)
    assert found.similarity == 1
    assert (found.kept.pair_id, found.kept.title, found.kept.answer) == (ids[0], "Seoul", TEXT[:3])
    assert (found.kept.answer_start, found.kept.answer_end) == (0, 3)
    assert here.like("비밀번호를 잊어버리면 어떻게 하지요", ANY)[0].kept.pair_id == ids[2]
    assert here.like(QUESTIONS[1], ANY) == []


def test_other_numbers_are_another_question(
    sessions: sessionmaker[Session], ids: list[UUID]
) -> None:
    review(sessions, ids[3], "accepted")
    here = known(sessions)
    assert here.like("Who built a wall in 1392?", ANY)
    assert here.like("Who built the wall in 1393?", ANY) == []
    assert here.like("Who built the wall?", ANY) == []


def test_only_what_is_wanted_is_found(sessions: sessionmaker[Session], ids: list[UUID]) -> None:
    review(sessions, ids[0], "accepted")
    here = known(sessions)
    document_id = here.like(QUESTIONS[0], ANY)[0].kept.document_id
    assert here.like(QUESTIONS[0], KeptSpec(document_id=document_id))
    assert here.like(QUESTIONS[0], KeptSpec(document_id=UUID(int=1))) == []
    assert here.like(QUESTIONS[0], KeptSpec(job_id=UUID(int=1))) == []
    assert here.like("How can I reset my password?", KeptSpec()) == []
    assert here.like("How can I reset my password?", ANY)


def test_it_follows_what_people_make_of_pairs(
    sessions: sessionmaker[Session], ids: list[UUID]
) -> None:
    here = known(sessions)
    review(sessions, ids[0], "accepted")
    here.refresh()
    assert here.like(QUESTIONS[0], ANY)
    with sessions.begin() as session:
        edit = {"question": "Where is my password?", "answer_start": 2, "answer_end": 6}
        reviews.edit(session, ids[0], **edit, by=None, now=later(1))
    here.refresh()
    (found,) = here.like("where is my password", ANY)
    assert (found.kept.answer, found.kept.answer_start) == (TEXT[2:6], 2)
    review(sessions, ids[0], "rejected", now=later(2))
    here.refresh()
    assert here.like("where is my password", ANY) == []
    review(sessions, ids[1], "accepted", now=later(3))
    here.refresh()
    with sessions.begin() as session:
        documents.delete(session, found.kept.document_id, with_pairs=True)
    here.refresh()
    assert len(here) == 0


def test_a_review_that_is_written_late_is_not_overlooked(
    sessions: sessionmaker[Session], ids: list[UUID]
) -> None:
    review(sessions, ids[0], "accepted", now=later(5))
    review(sessions, ids[1], "accepted", now=later(1))
    here = known(sessions, lambda: later(6))
    with sessions.begin() as session:  # begun before the newest, written after it
        reviews.edit(session, ids[1], question="What is new?", by=None, now=later(4))
    here.refresh()
    assert here.like("what is new", ANY)


def test_nothing_is_read_again_when_nothing_has_changed(
    sessions: sessionmaker[Session], ids: list[UUID]
) -> None:
    review(sessions, ids[0], "accepted")
    here = known(sessions, lambda: later(3600))
    statements = []
    engine = sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    here.refresh()
    here.refresh()
    assert len(statements) == 2
    assert all("count" in one for one in statements)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from(["accepted", "rejected", "new"]), st.booleans()
        ),
        max_size=12,
    )
)
def test_however_it_came_about_it_is_what_a_new_one_reads(
    steps: list[tuple[int, str, bool]],
) -> None:
    engine = open_engine("sqlite://")
    Base.metadata.create_all(engine)
    sessions = open_sessions(engine)
    ids = put_pairs(sessions)
    here = known(sessions)
    for moment, (which, verdict, looks) in enumerate(steps):
        review(sessions, ids[which], verdict, now=later(moment))
        if looks:
            here.refresh()
    here.refresh()
    fresh = known(sessions)
    assert len(here) == len(fresh)
    for one in QUESTIONS:
        assert here.like(one, ANY) == fresh.like(one, ANY)


def test_it_is_looked_into_while_it_changes(
    sessions: sessionmaker[Session], ids: list[UUID]
) -> None:
    review(sessions, ids[0], "accepted")
    here, done = known(sessions), Event()
    failures: list[Exception] = []

    def look() -> None:
        try:
            while not done.is_set():
                assert all(one.kept.pair_id == ids[0] for one in here.like(QUESTIONS[0], ANY))
        except Exception as error:
            failures.append(error)

    thread = Thread(target=look)
    thread.start()
    try:
        for moment in range(20):
            verdict = ReviewState.REJECTED if moment % 2 else ReviewState.ACCEPTED
            with sessions.begin() as session:
                reviews.review_many(
                    session, PairFilter(ids=ids), verdict, by=None, now=later(moment)
                )
            here.refresh()
    finally:
        done.set()
        thread.join(30)
    assert failures == []
