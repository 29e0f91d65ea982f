from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.data.documents.extracted import clean
from core.errors import InputError, NotFoundError
from core.storage import documents, pairs, reviews
from core.storage.pairs import NewPair, PairFilter
from core.storage.session import open_engine, open_sessions
from core.storage.tables import GeneratedPair, ReviewState
from tests.core.storage.documents import TEXT, add_document, pair_about
from tests.core.storage.rows import NOW, later, make_job


def all_pairs(session: Session, **wanted: object) -> list[GeneratedPair]:
    return pairs.page(session, PairFilter(**wanted), limit=1000)


def chunks(session: Session) -> list[GeneratedPair]:
    found = read = pairs.chunk(session)
    while read:
        read = pairs.chunk(session, after=found[-1])
        found = found + read
    return found


def test_a_pair_is_put_once_however_often(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        document, job = add_document(session), make_job(session)
        wanted = [
            pair_about(document, "수도", scores={"sure": 0.5}, job_id=job.id),
            pair_about(document, "수도", "Another?", job_id=job.id, rank=1),
            pair_about(document, "Han", job_id=job.id),
        ]
        assert pairs.put(session, [*wanted, wanted[0]], now=NOW) == 3
        assert pairs.put(session, wanted, now=later(1)) == 0
    with sessions() as session:
        kept = all_pairs(session)
        assert {pair.id for pair in kept} == {pairs.identify(pair) for pair in wanted}
        assert all(pair.created_at == NOW for pair in kept)
        assert [pair.answer for pair in kept] == ["수도", "수도", "Han"]
        assert {pair.answer: pair.scores for pair in kept}["Han"] == {}


def test_ids_never_change() -> None:
    fixed = UUID(int=7)
    told = {"document_id": fixed, "question": "Why?", "answer_start": 1, "answer_end": 3}
    made = NewPair(**told, job_id=fixed, rank=2)
    assert str(pairs.identify(made)) == "47730dbd-7e93-5fb0-9bc8-7e2c5dfc1040"
    assert str(pairs.identify(NewPair(**told))) == "2e99253f-c3ea-586e-8829-f117114b1165"


def test_putting_again_renews_what_nobody_reviewed_and_nothing_else(session: Session) -> None:
    document, job = add_document(session), make_job(session)
    answers = ("수도", "Han", "끝")
    first = [pair_about(document, answer, job_id=job.id) for answer in answers]
    pairs.put(session, first, now=NOW)
    reviews.review(session, pairs.identify(first[1]), ReviewState.ACCEPTED, by="kim", now=NOW)
    reviews.edit(session, pairs.identify(first[2]), question="What ends?", by=None, now=NOW)
    again = [
        pair_about(document, answer, "Better?", scores={"sure": 1}, job_id=job.id)
        for answer in answers
    ]
    pairs.put(session, again, now=later(9))
    kept = {pair.answer: pair for pair in all_pairs(session)}
    assert [kept[answer].question for answer in answers] == ["Better?", "Which?", "Which?"]
    assert kept["Han"].reviewed_by == "kim"
    assert kept["끝"].edited_question == "What ends?"
    assert kept["Han"].scores == {}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"answer": "수돋"}, "pairs[1].answer"),
        ({"answer_start": -1}, "pairs[1].answer_start"),
        ({"answer_end": len(TEXT) + 1}, "pairs[1].answer_start"),
        ({"answer_start": 3, "answer_end": 3}, "pairs[1].answer_start"),
        ({"answer_start": 3, "answer_end": 4}, "pairs[1].answer_start"),
        ({"question": " \n"}, "pairs[1].question"),
        ({"question": "a\0"}, "pairs[1].question"),
        ({"question": "a" * 4001}, "pairs[1].question"),
        ({"scores": {"sure": float("nan")}}, "pairs[1].scores"),
        ({"scores": {'o"d.d': 1.0}}, "pairs[1].scores"),
    ],
)
def test_a_pair_that_is_none_is_named_and_nothing_written(
    session: Session, change: dict, field: str
) -> None:
    document = add_document(session)
    wrong = pair_about(document, "수도", **change)
    with pytest.raises(InputError) as caught:
        pairs.put(session, [pair_about(document, "Han"), wrong], now=NOW)
    assert caught.value.field == field
    assert all_pairs(session) == []


def test_a_document_that_is_not_there_is_named(session: Session) -> None:
    wrong = NewPair(document_id=uuid4(), question="a", answer_start=0, answer_end=1)
    with pytest.raises(NotFoundError, match="no document"):
        pairs.put(session, [wrong], now=NOW)


def test_pairs_are_found_by_what_they_are(session: Session) -> None:
    document, other = add_document(session), add_document(session, TEXT + "!")
    job = make_job(session)
    wanted = [
        pair_about(document, "수도", "무엇인가?", scores={"sure": 0.9, "odd_2": 1}, job_id=job.id),
        pair_about(document, "Han", "Which river?", scores={"sure": 0.2}),
        pair_about(other, "끝", "100%_?"),
    ]
    pairs.put(session, wanted, now=NOW)
    ids = [pairs.identify(pair) for pair in wanted]
    reviews.edit(session, ids[1], question="어느 강인가?", by=None, now=NOW)

    def found(**told: object) -> set[int]:
        return {ids.index(pair.id) for pair in all_pairs(session, **told)}

    assert found() == {0, 1, 2}
    assert found(job_id=job.id) == {0}
    assert found(document_id=other.id) == {2}
    assert found(reviews=[ReviewState.NEW]) == {0, 2}
    assert found(reviews=[ReviewState.EDITED, ReviewState.ACCEPTED]) == {1}
    assert found(score="sure", min_score=0.2) == {0, 1}
    assert found(score="sure", min_score=0.5) == {0}
    assert found(score="odd_2", min_score=0.5) == {0}
    assert found(score="nothing", min_score=0) == set()
    assert found(text="RIVER") == {1}
    assert found(text="강인") == {1}
    assert found(text="%_") == {2}
    assert found(text="_%") == set()
    assert found(ids=ids[:2]) == {0, 1}
    assert found(ids=[]) == set()
    counted = pairs.counts(session, PairFilter(document_id=document.id))
    assert counted == {"new": 1, "edited": 1, "accepted": 0, "rejected": 0}
    for wrong in ({"score": "sure"}, {"min_score": 1}, {"score": 'o"d.d', "min_score": 1}):
        with pytest.raises(InputError):
            found(**wrong)


def test_pages_and_chunks_have_every_pair_once_in_order(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = add_document(session), add_document(session, TEXT + "!")
    wanted = [
        NewPair(document_id=one.id, question=f"{number}?", answer_start=start, answer_end=start + 2)
        for one in (first, second)
        for start in (0, 14, 7)
        for number in range(4)
    ]
    pairs.put(session, wanted, now=NOW)
    monkeypatch.setattr(pairs, "CHUNK", 7)
    streamed = chunks(session)
    places = [(pair.document_id, pair.answer_start) for pair in streamed]
    assert places == sorted(places)
    read: list[GeneratedPair] = []
    after = None
    while page := pairs.page(session, after=after, limit=5):
        read += page
        after = page[-1].id
    assert [pair.id for pair in read] == [pair.id for pair in streamed]
    assert len({pair.id for pair in streamed}) == 24
    with pytest.raises(NotFoundError):
        pairs.page(session, after=uuid4(), limit=5)


def test_more_than_a_chunk_is_put_and_read(session: Session) -> None:
    document = add_document(session)
    count = pairs.CHUNK * 2 + 1
    many = (pair_about(document, "수도", f"{number}?") for number in range(count))
    assert pairs.put(session, many, now=NOW) == count
    assert len({pair.id for pair in chunks(session)}) == count


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sessionmaker[Session]]:
    """A database for many small tries, all in one file."""
    from core.storage.tables import Base

    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('quick') / 'malgil.db'}")
    Base.metadata.create_all(engine)
    yield open_sessions(engine)
    engine.dispose()


LETTERS = st.text(
    alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from("e\u0301👩\u200d한 ")
)
PLACES = st.integers(-2, 40)


@given(LETTERS, st.lists(st.tuples(PLACES, PLACES)), st.lists(st.tuples(PLACES, PLACES)))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_answer_that_is_stored_is_its_slice(
    quick: sessionmaker[Session],
    written: str,
    places: list[tuple[int, int]],
    edits: list[tuple[int, int]],
) -> None:
    text = clean(written)
    with quick() as session:  # rolled back at the end
        document = add_document(session, text) if text else None
        if document is None:
            return
        for start, end in places:
            one = NewPair(document_id=document.id, question="?", answer_start=start, answer_end=end)
            try:
                pairs.put(session, [one], now=NOW)
            except InputError:
                assert not (0 <= start < end <= len(text) and text[start:end].strip())
        for pair, (start, end) in zip(pairs.page(session, limit=99), edits, strict=False):
            try:
                reviews.edit(session, pair.id, answer_start=start, answer_end=end, by=None, now=NOW)
            except InputError:
                assert not (0 <= start < end <= len(text) and text[start:end].strip())
        session.expire_all()
        kept = documents.texts(session, [document.id])[document.id]
        assert kept == text
        for pair in session.scalars(select(GeneratedPair)):
            assert pair.answer == kept[pair.answer_start : pair.answer_end]
            if pair.edited_answer is not None:
                assert pair.edited_answer == kept[pair.edited_start : pair.edited_end]
            session.expunge(pair)
