"""Jobs that ask questions: pieces by several hands, every pair once."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.errors import UnavailableError
from core.pipelines import piecework
from core.pipelines.generate import generate, help_with
from core.pipelines.workshop import Workshop
from core.specs import GenerateJob, GenerateSpec, PassageSpec
from core.storage import checkpoints, documents, jobs, pairs, pausing, pieces, reviews
from core.storage.blobs import Blobs
from core.storage.pairs import PairFilter, identify
from core.storage.tables import EventKind, Job, JobKind, JobStatus, Piece, ReviewState
from tests.core.pipelines.small import TOWNS, about
from tests.core.storage.rows import make_checkpoint

SPEC = GenerateSpec(
    answers=3, per_kind=1.0, round_trip=0.0, passages=PassageSpec(max_characters=100)
)
TEXTS = [f"{about(*town).context} Nr. {n}." for town in TOWNS for n in range(3)]


class Killed(BaseException):
    """What a process does not survive."""


class House:
    """A database, a blob store and a model, and what is asked of them."""

    def __init__(self, sessions: sessionmaker[Session], blobs: Blobs, tmp_path, asker) -> None:
        self.sessions, self.blobs, self.tmp_path = sessions, blobs, tmp_path
        self.ahead = timedelta()
        with sessions.begin() as session:
            key = blobs.put(asker)
            self.checkpoint = make_checkpoint(session, blob_key=key).id
            self.documents = [self.add(session, text) for text in TEXTS]

    def add(self, session: Session, text: str) -> UUID:
        about_it = {"title": text[:9], "language": None, "name": None, "format": "text"}
        document, _ = documents.add(session, text=text, bytes_=1, now=self.now(), **about_it)
        return document.id

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def queue(self, spec: GenerateSpec = SPEC, each: int = 2) -> UUID:
        told = GenerateJob(model="q", checkpoint=self.checkpoint, documents=12, options=spec)
        with self.sessions.begin() as session:
            job = jobs.enqueue(
                session,
                kind=JobKind.GENERATE,
                spec=told.model_dump(mode="json"),
                priority=0,
                now=self.now(),
            )
            length = pieces.CHARACTERS // each
            pieces.cut(session, job.id, [(one, length) for one in self.documents])
            return job.id

    def claim(self) -> int:
        with self.sessions.begin() as session:
            job = jobs.claim_next(session, worker="w", lease_s=6, max_deaths=9, now=self.now())
            assert job is not None
            return job.attempt

    def workshop(self, leaving: Callable[[], bool] = lambda: False) -> Workshop:
        return Workshop(
            sessions=self.sessions,
            blobs=self.blobs,
            scratch=self.tmp_path,
            lease_s=6,
            now=self.now,
            leaving=leaving,
            outage_s=0.0,
            worker="w",
            max_deaths=9,
        )

    def work(self, job_id: UUID, leaving: Callable[[], bool] = lambda: False) -> None:
        generate(job_id, self.claim(), self.workshop(leaving))

    def job(self, job_id: UUID) -> Job:
        with self.sessions() as session:
            return jobs.get(session, job_id)

    def pairs(self, job_id: UUID) -> dict[tuple, str]:
        """Return what was made: the place of each question, and the question."""
        with self.sessions() as session:
            found = pairs.page(session, PairFilter(job_id=job_id), limit=1000)
        return {
            (one.document_id, one.answer_start, one.answer_end, one.rank): one.question
            for one in found
        }

    def said(self, job_id: UUID) -> str:
        with self.sessions() as session:
            events = jobs.events(session, job_id, limit=100)
        return " ".join(str(one.data) for one in events if one.kind == EventKind.LOG)


@pytest.fixture
def house(sessions, blobs, tmp_path, asker_bytes) -> House:
    return House(sessions, blobs, tmp_path, asker_bytes)


def test_documents_become_pairs_whose_answers_are_their_slices(house: House) -> None:
    job_id = house.queue()
    house.work(job_id)
    job = house.job(job_id)
    assert (job.status, job.error) == (JobStatus.SUCCEEDED, None)
    made = house.pairs(job_id)
    assert {document for document, *_ in made} <= set(house.documents)
    assert len(made) >= len(TOWNS)
    with house.sessions() as session:
        for one in pairs.page(session, PairFilter(job_id=job_id), limit=1000):
            text = documents.texts(session, [one.document_id])[one.document_id]
            assert text[one.answer_start : one.answer_end] == one.answer
            assert {"round_trip", "score", "proposal", "reading"} <= set(one.scores)
    assert f"{len(TEXTS)} documents" in house.said(job_id)
    assert f"{len(made)} kept" in house.said(job_id)
    assert job.progress is not None
    assert job.progress["step"] == job.progress["total_steps"] == len(TEXTS) // 2


def test_a_job_killed_again_and_again_makes_the_pairs_of_one_that_was_not(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, hit = house.queue(), house.queue(each=1)
    house.work(calm)
    real, calls = pairs.put, iter(range(1000))

    def put(*words, **more) -> int:
        made = real(*words, **more)
        if next(calls) % 3 == 2:  # in the middle of the transaction
            raise Killed
        return made

    monkeypatch.setattr(piecework.pairs, "put", put)
    deaths = 0
    while house.job(hit).status != JobStatus.SUCCEEDED:
        try:
            house.work(hit)
        except Killed:
            deaths += 1
            house.ahead += timedelta(seconds=7)
    assert deaths > 2
    assert house.pairs(hit) == house.pairs(calm)


def test_helpers_and_holder_share_the_pieces_and_make_each_pair_once(house: House) -> None:
    calm, shared = house.queue(), house.queue(each=1)
    house.work(calm)
    attempt = house.claim()
    helpers = [
        threading.Thread(target=help_with, args=(shared, house.workshop())) for _ in range(2)
    ]
    for helper in helpers:
        helper.start()
    generate(shared, attempt, house.workshop())
    for helper in helpers:
        helper.join(60)
    assert house.job(shared).status == JobStatus.SUCCEEDED
    assert house.pairs(shared) == house.pairs(calm)


def test_a_helper_leaves_where_another_job_waits(house: House) -> None:
    job_id = house.queue()
    house.claim()
    house.queue()
    help_with(job_id, house.workshop())
    with house.sessions() as session:
        assert pieces.standing(session, job_id).counts == {}


@pytest.mark.parametrize(
    ("ask", "status"),
    [(pausing.pause, JobStatus.PAUSED), (jobs.cancel, JobStatus.CANCELLED)],
)
def test_a_job_stops_or_rests_between_two_groups_of_documents(
    house: House, monkeypatch: pytest.MonkeyPatch, ask, status: JobStatus
) -> None:
    job_id = house.queue()
    real = piecework.question_texts

    def questions(*words):
        with house.sessions.begin() as session:
            ask(session, job_id, now=house.now())
        return real(*words)

    with monkeypatch.context() as patch:
        patch.setattr(piecework, "question_texts", questions)
        patch.setattr("core.pipelines.lease.RENEW_S", 0.01)
        house.work(job_id)
    assert house.job(job_id).status == status
    if status == JobStatus.PAUSED:
        with house.sessions.begin() as session:
            pausing.resume(session, job_id, now=house.now())
        house.work(job_id)
        calm = house.queue()
        house.work(calm)
        assert house.pairs(job_id) == house.pairs(calm)


def test_a_worker_that_leaves_gives_the_job_back(house: House) -> None:
    job_id = house.queue()
    looks = iter(range(1000))
    house.work(job_id, lambda: next(looks) > 3)
    assert house.job(job_id).status == JobStatus.QUEUED
    house.work(job_id)
    assert house.job(job_id).status == JobStatus.SUCCEEDED


def test_documents_that_vanish_meanwhile_are_left_out(house: House) -> None:
    job_id = house.queue()
    with house.sessions.begin() as session:
        documents.delete(session, house.documents[0])
    house.work(job_id)
    assert house.job(job_id).status == JobStatus.SUCCEEDED
    assert house.documents[0] not in {document for document, *_ in house.pairs(job_id)}


def test_a_job_whose_model_is_gone_fails_and_names_it(house: House) -> None:
    job_id = house.queue()
    with house.sessions.begin() as session:
        session.delete(checkpoints.resolve(session, str(house.checkpoint)))
    house.work(job_id)
    failed = house.job(job_id)
    assert failed.status == JobStatus.FAILED
    assert f"6 of 6 pieces failed: There is no model '{house.checkpoint}'" in str(failed.error)


def test_a_blob_store_that_is_down_costs_an_attempt_and_not_the_job(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise UnavailableError("The blob store failed: no route")

    job_id = house.queue()
    with monkeypatch.context() as outage:
        outage.setattr(Blobs, "intact_path", down)
        house.work(job_id)
    assert house.job(job_id).status == JobStatus.QUEUED
    with house.sessions() as session:
        assert not session.scalars(select(Piece.error).where(Piece.error.is_not(None))).all()
    house.work(job_id)
    assert house.job(job_id).status == JobStatus.SUCCEEDED


def test_of_questions_that_are_alike_in_several_documents_one_is_kept(house: House) -> None:
    job_id = house.queue(SPEC.model_copy(update={"alike": 0.7}))
    house.work(job_id)
    asked = list(house.pairs(job_id).values())
    assert len(asked) == len({one.lower() for one in asked})
    assert "dropped: " in house.said(job_id)


def test_a_pair_that_was_reviewed_meanwhile_stays_as_it_is(house: House) -> None:
    first = house.queue()
    house.work(first)
    with house.sessions.begin() as session:
        pair = pairs.page(session, PairFilter(job_id=first), limit=1)[0]
        reviews.review(session, pair.id, ReviewState.ACCEPTED, by="Dooly", now=house.now())
        told = pairs.NewPair(
            job_id=first,
            document_id=pair.document_id,
            question="Another?",
            answer_start=pair.answer_start,
            answer_end=pair.answer_end,
            rank=pair.rank,
        )
        assert identify(told) == pair.id
        assert pairs.put(session, [told], now=house.now()) == 0
        assert pairs.get(session, pair.id).question == pair.question
