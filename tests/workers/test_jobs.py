"""The job worker with real children; only the messages of Celery are played."""

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from structlog.testing import capture_logs

from core.data.examples import content_of
from core.queue.messages import INBOX, INFERENCE_QUEUE, JOBS_QUEUE
from core.specs import TrainJob
from core.storage import checkpoints, corpora, idempotency, pausing, snapshots
from core.storage import jobs as rows
from core.storage.tables import (
    Corpus,
    CorpusKind,
    EventKind,
    IdempotencyKey,
    Job,
    JobKind,
    JobStatus,
    Split,
)
from services.embedded.census import census
from tests.core.pipelines.small import PAIRS, small_plan
from workers import jobs, runtime
from workers.children import TAIL_BYTES

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def stays() -> Iterator[None]:
    """What tells a worker to leave is its process's own: it must not outlive the test."""
    yield
    jobs._leaving.clear()


def sweep() -> None:
    """Sweep, as if the last sweep were long ago."""
    runtime.redis().delete(jobs.SWEPT)
    jobs.sweep()


def make_corpus(session: Session) -> Corpus:
    corpus = corpora.create(
        session,
        name="greetings",
        kind=CorpusKind.PAIRS,
        source_language="ko",
        target_language="ko",
        licence=None,
        sha256="0" * 64,
        bytes_=1,
        now=runtime.now(),
    )
    for split in (Split.TRAIN, Split.VALID):
        lines = [(split, line, content_of(pair)) for line, pair in enumerate(PAIRS)]
        corpora.add_examples(session, corpus.id, lines)
    return corpora.finish(session, corpus.id, bad_lines=0)


def queue(
    sessions: sessionmaker[Session],
    *,
    priority: int = 0,
    max_epochs: int = 2,
) -> UUID:
    """Queue a training, of seconds unless it gets more epochs."""
    spec = TrainJob(plan=small_plan(max_epochs=max_epochs))
    with sessions.begin() as session:
        return rows.enqueue(
            session,
            kind=JobKind.TRAIN,
            corpus_id=make_corpus(session).id,
            spec=spec.model_dump(mode="json"),
            priority=priority,
            now=runtime.now(),
        ).id


def show(sessions: sessionmaker[Session], job: UUID) -> Job:
    with sessions() as session:
        return rows.get(session, job)


def words(sessions: sessionmaker[Session], job: UUID) -> list[str]:
    with sessions() as session:
        found = rows.events(session, job, limit=500)
    return [str(event.data["message"]) for event in found if event.kind is EventKind.LOG]


@contextmanager
def woken() -> Iterator[threading.Thread]:
    """A worker that has heard the doorbell and goes on working beside the test."""
    thread = threading.Thread(target=jobs.run)
    thread.start()
    try:
        yield thread
    finally:
        jobs._leave()
        thread.join(timeout=30)
    assert not thread.is_alive()


def wait_for(look: Callable[[], object], *, within_s: float = 30) -> object:
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
    return found


def speaking_child(job: UUID, attempt: int) -> int:
    """Return the process id of the child that works on an attempt, once it has said something."""

    def look() -> int:
        for seen in census():
            command = seen.command.split()
            if command[-3:-1] == [str(job), str(attempt)]:
                said = Path(command[-1]) / "child.log"
                return seen.pid if said.exists() and said.stat().st_size else 0
        return 0

    return int(str(wait_for(look)))


@ONE_DATABASE
def test_one_ring_is_enough_the_urgent_goes_first_and_the_hopeless_is_given_up(
    sessions, monkeypatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # makes a child talk from its first moment
    usual, urgent = queue(sessions), queue(sessions, priority=5)
    with woken():
        for attempt in (1, 2, 3):
            os.kill(speaking_child(urgent, attempt), signal.SIGKILL)
        wait_for(lambda: show(sessions, usual).ended_at)
    first, second = show(sessions, urgent), show(sessions, usual)
    assert (first.status, second.status) == (JobStatus.FAILED, JobStatus.SUCCEEDED)
    assert first.ended_at < second.started_at
    with sessions() as session:
        checkpoint = checkpoints.of_job(session, usual)
    assert runtime.blobs().exists(checkpoint.blob_key)

    assert (first.attempt, first.deaths) == (3, 3)
    assert first.error.startswith("Given up after 3 deaths without progress: attempt 3 died by")
    said = words(sessions, urgent)
    assert [message.splitlines()[0] for message in said] == [
        f"attempt {attempt} died by signal 9" for attempt in (1, 2, 3)
    ]
    assert all("import time:" in message for message in said), "the last words of each child"
    assert all(len(message.encode()) <= TAIL_BYTES + 100 for message in said)


@ONE_DATABASE
def test_a_worker_that_leaves_gives_its_job_back_without_counting_a_death(sessions) -> None:
    job = queue(sessions, max_epochs=100_000)

    def progress() -> dict:
        return show(sessions, job).progress or {}

    with woken() as thread:
        wait_for(lambda: progress().get("stage") == "start")  # long before torch is loaded
        wait_for(lambda: progress().get("step", 0) > 3)
        jobs._leave()
        thread.join(timeout=20)
    left = show(sessions, job)
    assert (left.status, left.deaths) == (JobStatus.QUEUED, 0)
    assert words(sessions, job)[-1] == "the worker is leaving"
    jobs.run()  # woken once more on its way out: it must not begin anything
    assert show(sessions, job).attempt == 1


@ONE_DATABASE
def test_a_second_ring_changes_nothing_while_a_job_is_worked_on(sessions) -> None:
    assert jobs._busy.acquire(blocking=False)
    try:
        job = queue(sessions)
        jobs.run()
    finally:
        jobs._busy.release()
    assert show(sessions, job).attempt == 0


def test_without_room_to_work_in_jobs_stay_in_the_queue(sessions, monkeypatch) -> None:
    job = queue(sessions)
    with monkeypatch.context() as full:
        full.setattr(jobs, "SCRATCH_BYTES", 1 << 60)
        with capture_logs() as told:
            jobs.run()
            jobs.run()
    assert [one["event"] for one in told] == ["jobs wait"], "once, however often it is rung"
    assert show(sessions, job).attempt == 0
    assert jobs._has_room()


def test_a_job_for_which_no_process_can_be_started_is_given_back(sessions, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    job = queue(sessions)
    monkeypatch.setattr(jobs, "Child", refuse)
    monkeypatch.setattr(jobs, "AGAIN_S", 0.01)
    monkeypatch.setattr(jobs, "_has_room", iter([True, False]).__next__)
    jobs.run()
    given_back = show(sessions, job)
    assert (given_back.status, given_back.attempt, given_back.deaths) == (JobStatus.QUEUED, 1, 0)
    with sessions() as session:
        said = [event.data.get("message") for event in rows.events(session, job, limit=9)]
    assert any("Resource temporarily unavailable" in str(one) for one in said)


def test_the_sweep_rings_for_jobs_that_wait_but_not_without_end(sessions, messages) -> None:
    sweep()
    assert messages(JOBS_QUEUE) == 0
    queue(sessions)
    sweep()
    assert messages(JOBS_QUEUE) == 1
    for _ in range(9):
        queue(sessions)
    sweep()
    assert messages(JOBS_QUEUE) == 1 + jobs.RINGS_AT_ONCE


def test_of_sweeps_that_have_piled_up_one_is_enough(sessions, messages) -> None:
    queue(sessions)
    sweep()
    jobs.sweep()
    jobs.sweep()
    assert messages(JOBS_QUEUE) == 1


def test_the_sweep_rings_for_a_job_whose_worker_fell_silent(sessions, messages) -> None:
    queue(sessions)
    long_ago = runtime.now() - timedelta(minutes=1)
    with sessions.begin() as session:
        assert rows.claim_next(session, worker="gone", lease_s=6, max_deaths=3, now=long_ago)
    sweep()
    assert messages(JOBS_QUEUE) == 1


def test_a_child_is_made_ready_while_the_lease_of_a_silent_worker_runs_out(
    sessions, messages, monkeypatch
) -> None:
    job = queue(sessions)
    with sessions.begin() as session:
        rows.claim_next(session, worker="gone", lease_s=3, max_deaths=3, now=runtime.now())
    sweep()
    assert messages(JOBS_QUEUE) == 1, "it rings before the lease has run out"
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # makes a child talk from its first moment
    with woken() as worker:
        child = speaking_child(job, 2)
        assert show(sessions, job).attempt == 1, "the lease of the other still runs"
        wait_for(lambda: show(sessions, job).attempt == 2)
        assert speaking_child(job, 2) == child
        worker.join(timeout=30)
    assert show(sessions, job).status is JobStatus.SUCCEEDED


def test_a_child_that_was_made_ready_is_sent_away_where_the_silent_worker_is_back(
    sessions, monkeypatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    job = queue(sessions)
    with sessions.begin() as session:
        rows.claim_next(session, worker="slow", lease_s=3, max_deaths=3, now=runtime.now())
    with woken() as worker:
        speaking_child(job, 2)
        with sessions.begin() as session:
            rows.hold(session, job, attempt=1, lease_s=60, now=runtime.now())
        worker.join(timeout=30)
    assert show(sessions, job).attempt == 1
    assert not [seen for seen in census() if str(job) in seen.command]


def test_the_sweep_leaves_a_job_alone_that_somebody_holds(sessions, messages) -> None:
    queue(sessions)
    with sessions.begin() as session:
        rows.claim_next(session, worker="busy", lease_s=60, max_deaths=3, now=runtime.now())
    sweep()
    assert messages(JOBS_QUEUE) == 0


def test_the_sweep_rings_for_asks_that_nobody_read(sessions, messages, valkey: Redis) -> None:
    sweep()
    assert messages(INFERENCE_QUEUE) == 0
    for _ in range(3):
        valkey.xadd(INBOX, {"ask": "{}"})
    sweep()
    assert messages(INFERENCE_QUEUE) == 1


def test_the_sweep_forgets_imports_that_died_and_leaves_those_under_way(sessions) -> None:
    for age in (timedelta(0), jobs.FORGET_HALVES_AFTER + timedelta(minutes=1)):
        with sessions.begin() as session:
            corpora.create(
                session,
                name="half",
                kind=CorpusKind.PAIRS,
                source_language=None,
                target_language=None,
                licence=None,
                sha256="0" * 64,
                bytes_=1,
                now=runtime.now() - age,
            )
    sweep()
    with sessions() as session:
        left = session.scalars(select(Corpus)).all()
    assert [runtime.now() - corpus.created_at < timedelta(minutes=1) for corpus in left] == [True]


def test_the_sweep_forgets_keys_of_requests_after_a_day(sessions) -> None:
    for age in (timedelta(hours=23), timedelta(hours=25)):
        with sessions.begin() as session:
            idempotency.begin(
                session, str(age), fingerprint="0" * 64, holder=uuid4(), now=runtime.now() - age
            )
    sweep()
    with sessions() as session:
        assert list(session.scalars(select(IdempotencyKey.key))) == ["23:00:00"]


def test_the_sweep_forgets_old_blobs_that_no_row_needs_once_in_an_hour(
    sessions, tmp_path: Path, valkey: Redis
) -> None:
    store, old = runtime.blobs(), (runtime.now() - timedelta(hours=25)).timestamp()
    unused, used, snapshot, young = (store.put(word) for word in (b"1", b"2", b"3", b"4"))
    job = queue(sessions)
    with sessions.begin() as session:
        add = {"step": 1, "bytes_": 1, "now": runtime.now()}
        checkpoints.add(session, job_id=None, spec={}, metrics={}, report={}, blob_key=used, **add)
        rows.claim_next(session, worker="w", lease_s=60, max_deaths=3, now=runtime.now())
        snapshots.put(session, job, attempt=1, blob_key=snapshot, **add)
    for key in (unused, used, snapshot):
        os.utime(store.local_path(key), (old, old))
    sweep()
    assert [store.exists(key) for key in (unused, used, snapshot, young)] == [False] + [True] * 3
    os.utime(store.local_path(young), (old, old))
    sweep()
    assert store.exists(young)
    valkey.delete(jobs.LOOKED)
    sweep()
    assert not store.exists(young)


@ONE_DATABASE
@pytest.mark.timeout(300)  # torch is loaded twice
def test_a_running_job_is_put_aside_and_goes_on_when_resumed(sessions) -> None:
    job = queue(sessions, max_epochs=30)
    with woken():
        wait_for(lambda: show(sessions, job).status == JobStatus.RUNNING)
        with sessions.begin() as session:
            pausing.pause(session, job, now=runtime.now())
        wait_for(lambda: show(sessions, job).status == JobStatus.PAUSED, within_s=100)
        with sessions.begin() as session:
            pausing.resume(session, job, now=runtime.now())
    jobs._leaving.clear()
    with woken():
        wait_for(lambda: show(sessions, job).ended_at, within_s=100)
    left = show(sessions, job)
    assert (left.status, left.deaths) == (JobStatus.SUCCEEDED, 0)


def test_the_sweep_after_one_whose_connections_were_cut_rings_again(
    sessions, messages, valkey: Redis
) -> None:
    queue(sessions)
    sweep()
    valkey.client_kill_filter(_type="normal", skipme=True)
    sweep()  # its own ring may be lost
    sweep()
    assert messages(JOBS_QUEUE) >= 2
