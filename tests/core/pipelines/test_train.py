"""The training way on real databases and blob stores; the processes are played by the test."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
import torch
from sqlalchemy.orm import Session, sessionmaker

from core.data.examples import Example, content_of
from core.data.tensorfile import pack
from core.errors import UnavailableError
from core.pipelines.bundle import read_bundle
from core.pipelines.lease import RENEW_S
from core.pipelines.train import Workshop, train
from core.specs import Plan, TokenizerSpec, TrainJob, merge
from core.storage import aliases, checkpoints, corpora, jobs, pausing, snapshots
from core.storage.blobs import Blobs
from core.storage.tables import CorpusKind, EventKind, Job, JobKind, JobStatus, Split
from tests.core.pipelines.small import LANGUAGE, PAIRS, TALE, small_plan

PLAN = small_plan(max_epochs=14, report_every=2)
SHORT = merge(LANGUAGE, {"train": {"max_epochs": 5, "report_every": 2}})


class Killed(BaseException):
    """The process is gone."""


class House:
    """A database, a blob store and a clock; workers come and go."""

    def __init__(self, sessions: sessionmaker[Session], blobs: Blobs, tmp_path) -> None:
        self.sessions = sessions
        self.blobs = blobs
        self.tmp_path = tmp_path
        self.ahead = timedelta()
        self.corpus_id = self.add(CorpusKind.PAIRS, PAIRS)

    def add(self, kind: CorpusKind, examples: list[Example]) -> UUID:
        """Keep a corpus all of whose splits have ``examples``."""
        with self.sessions.begin() as session:
            corpus = corpora.create(
                session,
                name=kind.value,
                kind=kind,
                source_language="ko",
                target_language="ko",
                licence=None,
                sha256="0" * 64,
                bytes_=1,
                now=self.now(),
            )
            rows = [(split, 1, content_of(one)) for one in examples for split in Split]
            corpora.add_examples(session, corpus.id, rows)
            corpora.finish(session, corpus.id, bad_lines=0)
            return corpus.id

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def queue(self, plan: Plan = PLAN, promote_to: str | None = None) -> UUID:
        spec = TrainJob(plan=plan, promote_to=promote_to).model_dump(mode="json")
        with self.sessions.begin() as session:
            return jobs.enqueue(
                session,
                kind=JobKind.TRAIN,
                corpus_id=self.corpus_id,
                spec=spec,
                priority=0,
                now=self.now(),
            ).id

    def claim(self) -> int:
        with self.sessions.begin() as session:
            job = jobs.claim_next(session, worker="w", lease_s=6, max_deaths=2, now=self.now())
            assert job is not None
            return job.attempt

    def work(
        self,
        job_id: UUID,
        leaving: Callable[[], bool] = lambda: False,
        blobs=None,
        outage_s: float = 0.0,
    ) -> int:
        """Claim what is next and work on it, as a child process does."""
        attempt = self.claim()
        workshop = Workshop(
            sessions=self.sessions,
            blobs=blobs or self.blobs,
            scratch=self.tmp_path / f"attempt-{attempt}",
            lease_s=6,
            now=self.now,
            leaving=leaving,
            outage_s=outage_s,
        )
        train(job_id, attempt, workshop)
        return attempt

    def job(self, job_id: UUID) -> Job:
        with self.sessions() as session:
            return jobs.get(session, job_id)

    def told(self, job_id: UUID, kind: EventKind) -> list[dict]:
        with self.sessions() as session:
            events = jobs.events(session, job_id, limit=10_000)
        return [{"step": one.step, **one.data} for one in events if one.kind == kind]

    def bundle(self, job_id: UUID) -> bytes:
        with self.sessions() as session:
            checkpoint = checkpoints.of_job(session, job_id)
        assert checkpoint is not None
        return self.blobs.get(checkpoint.blob_key)


@pytest.fixture
def house(sessions, blobs, tmp_path) -> House:
    return House(sessions, blobs, tmp_path)


def after(calls: int, what: Callable[[], bool]) -> Callable[[], bool]:
    """A ``leaving`` that does ``what`` from the call of that number on."""
    count = 0

    def leaving() -> bool:
        nonlocal count
        count += 1
        return count > calls and what()

    return leaving


def die() -> bool:
    raise Killed


def test_a_job_leaves_a_checkpoint_with_its_report_and_its_alias(house) -> None:
    job_id = house.queue(promote_to="bot")
    house.work(job_id)
    job = house.job(job_id)
    assert job.status == JobStatus.SUCCEEDED
    assert job.progress["step"] == job.progress["total_steps"]
    bundle = read_bundle(house.bundle(job_id))
    assert bundle.plan == PLAN
    with house.sessions() as session:
        alias = aliases.get(session, "bot")
        checkpoint = checkpoints.get(session, alias.checkpoint_id)
        assert checkpoint.job_id == job_id
        assert checkpoint.metrics["valid_loss"] == bundle.report["metrics"]["valid_loss"]
        assert snapshots.of_job(session, job_id) == []
    assert "tokenizer" in {one.get("stage") for one in house.told(job_id, EventKind.LOG)}


@pytest.mark.parametrize(
    ("kind", "examples", "plan"),
    [(CorpusKind.PAIRS, PAIRS, PLAN), (CorpusKind.TEXT, TALE, SHORT)],
    ids=["pairs", "running text"],
)
def test_a_job_killed_three_times_ends_with_the_curve_and_bundle_of_one_that_was_not(
    house, kind: CorpusKind, examples: list[Example], plan: Plan
) -> None:
    house.corpus_id = house.add(kind, examples)
    whole = house.queue(plan)
    house.work(whole)
    job_id = house.queue(plan)
    for calls in (9, 14, 30):  # the second without progress in between would be the last
        with pytest.raises(Killed):
            house.work(job_id, after(calls, die))
        house.ahead += timedelta(seconds=10)
    assert house.work(job_id) == 4
    assert house.told(job_id, EventKind.METRICS) == house.told(whole, EventKind.METRICS)
    assert house.bundle(job_id) == house.bundle(whole)
    beginnings = [
        one["message"] for one in house.told(job_id, EventKind.LOG) if "attempt" in one["message"]
    ]
    assert "starts at the beginning" in beginnings[0]
    assert "goes on from the snapshot" in beginnings[-1]


def test_a_worker_that_leaves_gives_the_job_back_with_a_snapshot(house) -> None:
    job_id = house.queue()
    house.work(job_id, after(12, lambda: True))
    job = house.job(job_id)
    assert (job.status, job.attempt, job.deaths) == (JobStatus.QUEUED, 1, 0)
    with house.sessions() as session:
        assert snapshots.of_job(session, job_id)
    assert house.work(job_id) == 2
    assert house.job(job_id).status == JobStatus.SUCCEEDED


def test_a_paused_job_rests_with_a_snapshot_and_ends_as_one_that_never_did(house) -> None:
    whole = house.queue()
    house.work(whole)
    job_id = house.queue()

    def pause() -> bool:
        if house.job(job_id).attempt == 1 and not house.job(job_id).pause_requested:
            with house.sessions.begin() as session:
                pausing.pause(session, job_id, now=house.now())
            time.sleep(RENEW_S + 1)  # until the lease has heard of it
        return False

    house.work(job_id, after(12, pause))
    job = house.job(job_id)
    assert (job.status, job.deaths, job.pause_requested) == (JobStatus.PAUSED, 0, False)
    with house.sessions.begin() as session:
        assert snapshots.of_job(session, job_id)
        pausing.resume(session, job_id, now=house.now())
    assert house.work(job_id) == 2
    assert house.told(job_id, EventKind.METRICS) == house.told(whole, EventKind.METRICS)
    assert house.bundle(job_id) == house.bundle(whole)


def test_a_cancelled_job_stops_and_leaves_no_snapshot(house) -> None:
    job_id = house.queue(small_plan(max_epochs=5000))
    asked = threading.Event()

    def cancel() -> bool:
        if not asked.is_set():
            asked.set()
            with house.sessions.begin() as session:
                jobs.cancel(session, job_id, now=house.now())
        return False

    house.work(job_id, after(5, cancel))
    assert house.job(job_id).status == JobStatus.CANCELLED
    with house.sessions() as session:
        assert snapshots.of_job(session, job_id) == []
        assert checkpoints.of_job(session, job_id) is None


def test_a_worker_that_lost_its_lease_writes_nothing_more(house) -> None:
    job_id = house.queue()

    def sleep_too_long() -> bool:
        if house.job(job_id).attempt == 1:
            house.ahead += timedelta(seconds=100)
            assert house.claim() == 2
        return False

    house.work(job_id, after(6, sleep_too_long))
    job = house.job(job_id)
    assert (job.status, job.attempt) == (JobStatus.RUNNING, 2)
    with house.sessions() as session:
        assert checkpoints.of_job(session, job_id) is None
        written = [one for one in jobs.events(session, job_id, limit=1000) if one.attempt == 1]
    assert not [one for one in written if one.kind == EventKind.METRICS and one.step > 5]


def test_a_job_that_cannot_succeed_fails_with_the_reason(house) -> None:
    wild = small_plan().model_copy(
        update={"tokenizer": TokenizerSpec(kind="unigram", vocabulary_size=16)}
    )
    job_id = house.queue(wild)
    house.work(job_id)
    job = house.job(job_id)
    assert job.status == JobStatus.FAILED
    assert "vocabulary" in job.error


def test_a_spec_of_another_version_fails_the_job_at_once(house) -> None:
    job_id = house.queue()
    with house.sessions.begin() as session:
        job = jobs.get(session, job_id)
        job.spec = {**job.spec, "colour": "red"}
    house.work(job_id)
    job = house.job(job_id)
    assert job.status == JobStatus.FAILED
    assert "colour" in job.error


def test_a_blob_store_that_is_down_costs_an_attempt_and_not_the_job(house) -> None:
    class Down:
        def put(self, data: bytes) -> str:
            raise UnavailableError("the disk is full")

    job_id = house.queue()
    house.work(job_id, blobs=Down())
    job = house.job(job_id)
    assert (job.status, job.attempt, job.deaths) == (JobStatus.QUEUED, 1, 0)
    assert "the disk is full" in str(house.told(job_id, EventKind.LOG))
    house.work(job_id)
    assert house.job(job_id).status == JobStatus.SUCCEEDED


def test_a_blob_store_that_comes_back_is_waited_for_and_it_is_said(house) -> None:
    root = house.tmp_path / "blobs"
    back = threading.Timer(1.5, lambda: (root.unlink(), away.rename(root)))
    away = house.tmp_path / "away"

    def go_down() -> bool:
        if not back.is_alive() and not back.finished.is_set():
            root.rename(away)
            root.touch()  # a directory would be made anew
            back.start()
        return False

    job_id = house.queue()
    house.work(job_id, after(12, go_down), outage_s=30)
    job = house.job(job_id)
    assert (job.status, job.attempt, job.deaths) == (JobStatus.SUCCEEDED, 1, 0)
    said = [one["message"] for one in house.told(job_id, EventKind.LOG) if "level" in one]
    assert [words.split(":")[0].partition(" after")[0] for words in said] == ["waits", "goes on"]
    assert all("blob store failed" in words for words in said)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_comes_back_is_waited_for_and_the_curve_is_whole(
    house, postgres_url: str
) -> None:
    whole = house.queue()
    house.work(whole)
    name = house.sessions.kw["bind"].url.database

    def open_(allowed: bool) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allowed}')
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )

    back = threading.Timer(2, lambda: open_(True))

    def go_down() -> bool:
        if not back.is_alive() and not back.finished.is_set():
            open_(False)
            back.start()
        return False

    job_id = house.queue()
    house.work(job_id, after(12, go_down), outage_s=30)
    job = house.job(job_id)
    assert (job.status, job.attempt, job.deaths) == (JobStatus.SUCCEEDED, 1, 0)
    assert house.told(job_id, EventKind.METRICS) == house.told(whole, EventKind.METRICS)
    said = [one["message"] for one in house.told(job_id, EventKind.LOG) if "level" in one]
    assert any(words.startswith("goes on after") and "database" in words for words in said)


def vanish(house: House, *statements: str) -> None:
    """Delete past what guards references, as a restored backup or a clumsy hand might."""
    unguarded = "PRAGMA foreign_keys = OFF"
    if house.sessions.kw["bind"].dialect.name == "postgresql":
        unguarded = "SET session_replication_role = replica"
    with house.sessions.kw["bind"].connect() as connection:
        connection.exec_driver_sql(unguarded)
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()
        connection.invalidate()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM corpora", "There is no corpus '{}'."),
        ("DELETE FROM examples WHERE split = 'valid'", "({}) has lost examples: 0 of 9 for valid"),
        (
            "DELETE FROM examples WHERE id = (SELECT MAX(id) FROM examples)",
            "({}) has lost examples",
        ),
    ],
)
def test_a_job_whose_corpus_vanished_fails_and_names_it(house, statement: str, said: str) -> None:
    job_id = house.queue()
    vanish(house, statement)
    house.work(job_id)
    job = house.job(job_id)
    assert job.status == JobStatus.FAILED
    assert said.format(house.corpus_id) in job.error


def test_a_job_that_vanished_itself_is_left_alone(house) -> None:
    job_id = house.queue()
    house.work(job_id, after(5, lambda: vanish(house, "DELETE FROM jobs") or False))
    with house.sessions() as session:
        assert jobs.page(session, limit=9) == []


@pytest.mark.parametrize("told", ["is lost", "malgil-state-1"])
def test_a_snapshot_that_cannot_be_read_means_a_new_beginning_and_is_said(house, told: str) -> None:
    older = pack({"weights/a": torch.zeros(1)}, {"format": "malgil-state-1", "counters": "{}"})
    job_id = house.queue()
    house.work(job_id, after(12, lambda: True))
    with house.sessions.begin() as session:
        for snapshot in snapshots.of_job(session, job_id):
            house.blobs.delete(snapshot.blob_key)
            if told in str(older):
                snapshot.blob_key = house.blobs.put(older)
    house.work(job_id)
    assert house.job(job_id).status == JobStatus.SUCCEEDED
    assert told in str(house.told(job_id, EventKind.LOG))
    steps = [one["step"] for one in house.told(job_id, EventKind.METRICS) if "loss" in one]
    assert steps == sorted(set(steps))


def test_where_the_newest_snapshot_is_damaged_the_one_before_it_serves(house) -> None:
    calm, hit = house.queue(), house.queue()
    house.work(calm)
    house.work(hit, after(12, lambda: True))
    house.work(hit, after(6, lambda: True))
    with house.sessions() as session:
        newest, before = snapshots.of_job(session, hit)
    path = house.blobs.local_path(newest.blob_key)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    house.work(hit)
    assert house.job(hit).status == JobStatus.SUCCEEDED
    said = str(house.told(hit, EventKind.LOG))
    assert f"goes on from the snapshot at step {before.step}: the snapshot at" in said
    assert f"the snapshot at step {newest.step} is lost" in said
    assert house.bundle(hit) == house.bundle(calm)


def test_a_language_model_is_a_job_like_any_other(house) -> None:
    house.corpus_id = house.add(CorpusKind.TEXT, TALE)
    job_id = house.queue(LANGUAGE)
    house.work(job_id, after(20, lambda: True))
    assert house.job(job_id).status == JobStatus.QUEUED
    house.work(job_id)
    assert house.job(job_id).status == JobStatus.SUCCEEDED
    bundle = read_bundle(house.bundle(job_id))
    assert bundle.report["metrics"]["test_perplexity"] < 5
    assert bundle.report["examples"]["train_tokens"] == bundle.report["examples"]["valid_tokens"]


def test_a_transformation_tells_its_score_on_the_way(house) -> None:
    plan = merge(PLAN, {"task": "transform", "train": {"score_rows": 9, "validate_every": 10}})
    job_id = house.queue(plan)
    house.work(job_id)
    assert house.job(job_id).status == JobStatus.SUCCEEDED
    scores = [one["scores"] for one in house.told(job_id, EventKind.METRICS) if "scores" in one]
    assert scores
    assert all(one.keys() == {"exact_match"} for one in scores)
    logs = str(house.told(job_id, EventKind.LOG))
    assert "fp32 on cpu" in logs
    with house.sessions() as session:
        checkpoint = checkpoints.of_job(session, job_id)
    assert checkpoint is not None
    assert checkpoint.report["run"]["seconds"] > 0
