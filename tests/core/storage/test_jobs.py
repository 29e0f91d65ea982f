from collections.abc import Callable
from datetime import UTC
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from core.errors import ConflictError, LeaseLostError, NotFoundError
from core.storage import checkpoints, jobs, snapshots, turn
from core.storage.tables import EventKind, Job, JobEvent, JobKind, JobStatus
from tests.core.storage.rows import (
    LEASE_S,
    MAX_DEATHS,
    NOW,
    claim,
    later,
    make_job,
    make_running,
)


def told(session: Session, job_id: UUID) -> list[str]:
    """Return what the state events say, oldest first."""
    events = jobs.events(session, job_id, limit=100)
    return [event.data["status"] for event in events if event.kind == EventKind.STATE]


def test_a_queued_job_comes_back_as_it_was_queued(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        job_id = make_job(session, priority=7).id
    with sessions() as session:
        job = jobs.get(session, job_id)
        assert (job.status, job.priority, job.attempt) == (JobStatus.QUEUED, 7, 0)
        assert job.spec == {"recipe": "smalltalk"}
        assert job.created_at == NOW
        assert job.created_at.tzinfo is UTC
        assert told(session, job_id) == ["queued"]


def test_what_is_not_committed_is_not_there(sessions: sessionmaker[Session]) -> None:
    with sessions() as session:
        job_id = make_job(session).id
    with sessions() as session, pytest.raises(NotFoundError):
        jobs.get(session, job_id)


def test_a_job_needs_a_corpus(session: Session) -> None:
    with pytest.raises(NotFoundError, match="no corpus"):
        jobs.enqueue(session, kind=JobKind.TRAIN, corpus_id=uuid4(), spec={}, priority=0, now=NOW)


def test_claiming_starts_the_lease_and_tells_it(session: Session) -> None:
    job = make_running(session)
    assert (job.status, job.attempt, job.worker) == (JobStatus.RUNNING, 1, "w1")
    assert (job.started_at, job.lease_until) == (NOW, later(LEASE_S))
    last = jobs.events(session, job.id, limit=10)[-1]
    assert last.data == {"status": "running", "attempt": 1, "worker": "w1"}
    assert (last.attempt, last.created_at) == (1, NOW)


def test_claiming_when_nothing_waits_gives_nothing(session: Session) -> None:
    assert claim(session) is None
    make_running(session)
    assert claim(session) is None


def test_the_highest_priority_goes_first_and_then_the_oldest(session: Session) -> None:
    expected = [
        make_job(session, priority=5, now=later(3)).id,
        make_job(session, priority=0, now=later(1)).id,
        make_job(session, priority=0, now=later(2)).id,
        make_job(session, priority=-1, now=later(0)).id,
    ]
    claimed = [job.id for _ in expected if (job := claim(session, now=later(9)))]
    assert claimed == expected


def test_a_lease_that_ran_out_is_claimed_again_under_the_next_attempt(session: Session) -> None:
    job_id = make_running(session).id
    assert claim(session, now=later(LEASE_S)) is None
    again = claim(session, now=later(LEASE_S + 0.001), worker="w2")
    assert again is not None
    assert (again.id, again.attempt, again.worker) == (job_id, 2, "w2")
    assert again.deaths == 1
    assert again.started_at == NOW
    assert told(session, job_id) == ["queued", "running", "running"]


def test_holding_keeps_the_lease_and_the_progress(session: Session) -> None:
    job = make_running(session)
    hold = partial(jobs.hold, session, job.id, attempt=1, lease_s=LEASE_S)
    assert not hold(now=later(5), progress={"step": 3}).cancel_requested
    assert not hold(now=later(6)).cancel_requested
    assert claim(session, now=later(6 + LEASE_S)) is None
    assert jobs.get(session, job.id).progress == {"step": 3}


def test_a_job_whose_workers_all_fell_silent_is_failed_and_the_next_one_claimed(
    session: Session,
) -> None:
    job_id = make_running(session).id
    for attempt in range(2, MAX_DEATHS + 1):
        assert (job := claim(session, now=later(attempt * 10))) is not None
        assert (job.id, job.attempt, job.deaths) == (job_id, attempt, attempt - 1)
    next_id = make_job(session, priority=-1).id
    claimed = claim(session, now=later(100))
    assert claimed is not None
    assert claimed.id == next_id
    failed = jobs.get(session, job_id)
    assert (failed.status, failed.ended_at) == (JobStatus.FAILED, later(100))
    assert (failed.lease_until, failed.deaths) == (None, MAX_DEATHS)
    assert failed.error == "Given up after 3 deaths without progress: its worker fell silent."
    assert jobs.events(session, job_id, limit=99)[-1].data["error"] == failed.error


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        (jobs.succeed, JobStatus.SUCCEEDED, None),
        (partial(jobs.fail, error="The disk is full."), JobStatus.FAILED, "The disk is full."),
        (jobs.stop, JobStatus.CANCELLED, None),
    ],
)
def test_a_job_ends_once(
    session: Session, end: Callable[..., None], status: JobStatus, error: str | None
) -> None:
    job_id = make_running(session).id
    end(session, job_id, attempt=1, now=later(2))
    job = jobs.get(session, job_id)
    assert (job.status, job.error, job.ended_at) == (status, error, later(2))
    assert job.lease_until is None
    assert told(session, job_id) == ["queued", "running", status.value]
    with pytest.raises(LeaseLostError):
        end(session, job_id, attempt=1, now=later(3))
    assert claim(session, now=later(99)) is None


def test_an_error_is_kept_whatever_it_quotes(session: Session) -> None:
    job_id = make_running(session).id
    jobs.fail(session, job_id, attempt=1, error="bad \0 and \udcff", now=NOW)
    assert jobs.get(session, job_id).error == "bad \ufffd and ?"


GUARDED: dict[str, Callable[..., object]] = {
    "hold": partial(jobs.hold, lease_s=LEASE_S, now=NOW, progress={"step": 9}),
    "add_event": partial(jobs.add_event, kind=EventKind.METRICS, data={}, now=NOW, step=9),
    "forget_metrics_after": partial(jobs.forget_metrics_after, step=0),
    "succeed": partial(jobs.succeed, now=NOW),
    "fail": partial(jobs.fail, error="late", now=NOW),
    "stop": partial(jobs.stop, now=NOW),
    "give_back": partial(jobs.give_back, reason="late", now=NOW),
    "report_death": partial(jobs.report_death, max_deaths=9, reason="late", now=NOW),
    "put_snapshot": partial(snapshots.put, step=9, blob_key="f" * 64, bytes_=1, now=NOW),
}


@pytest.mark.parametrize("name", GUARDED)
def test_a_stale_attempt_writes_nothing(sessions: sessionmaker[Session], name: str) -> None:
    with sessions.begin() as session:
        job_id = make_running(session).id
        jobs.add_event(session, job_id, attempt=1, kind=EventKind.METRICS, data={}, now=NOW, step=5)
        claim(session, now=later(60), worker="w2")
        before = _everything(session, job_id)
    for attempt in (0, 1, 3):
        with sessions() as session, pytest.raises(LeaseLostError):
            GUARDED[name](session, job_id, attempt=attempt)
    with sessions.begin() as session:
        assert _everything(session, job_id) == before
        GUARDED[name](session, job_id, attempt=2)


@pytest.mark.parametrize("name", GUARDED)
def test_an_ended_job_takes_no_more_writes(session: Session, name: str) -> None:
    job_id = make_running(session).id
    jobs.succeed(session, job_id, attempt=1, now=NOW)
    with pytest.raises(LeaseLostError):
        GUARDED[name](session, job_id, attempt=1)


@pytest.mark.parametrize("name", GUARDED)
def test_nobody_holds_a_job_that_does_not_exist(session: Session, name: str) -> None:
    with pytest.raises(LeaseLostError):
        GUARDED[name](session, uuid4(), attempt=1)


def _everything(session: Session, job_id: UUID) -> object:
    job = jobs.get(session, job_id)
    columns = {column.key: getattr(job, column.key) for column in Job.__table__.columns}
    seen = [(event.id, event.data) for event in jobs.events(session, job_id, limit=99)]
    return columns, seen, [one.step for one in snapshots.of_job(session, job_id)]


die = partial(jobs.report_death, max_deaths=MAX_DEATHS, reason="out of memory", now=NOW)
leave = partial(jobs.give_back, reason="shutting down", now=NOW)


@pytest.mark.parametrize(
    ("part", "reason", "deaths"), [(leave, "shutting down", 0), (die, "out of memory", 1)]
)
def test_whoever_leaves_or_dies_queues_the_job_at_once(
    session: Session, part: Callable[..., None], reason: str, deaths: int
) -> None:
    job_id = make_running(session).id
    part(session, job_id, attempt=1)
    job = jobs.get(session, job_id)
    assert (job.status, job.lease_until, job.worker) == (JobStatus.QUEUED, None, None)
    log, state = jobs.events(session, job_id, limit=9)[-2:]
    assert (log.kind, log.data["message"]) == (EventKind.LOG, reason)
    assert state.data == {"status": "queued"}
    assert (again := claim(session)) is not None
    assert (again.attempt, again.deaths) == (2, deaths)


@pytest.mark.parametrize(("max_deaths", "said"), [(1, "a death"), (2, "2 deaths")])
def test_the_last_death_fails_the_job(session: Session, max_deaths: int, said: str) -> None:
    job_id = make_running(session).id
    for attempt in range(1, max_deaths + 1):
        assert jobs.get(session, job_id).status == JobStatus.RUNNING
        die(session, job_id, attempt=attempt, max_deaths=max_deaths)
        claim(session)
    job = jobs.get(session, job_id)
    assert (job.status, job.attempt, job.deaths) == (JobStatus.FAILED, max_deaths, max_deaths)
    assert job.error == f"Given up after {said} without progress: out of memory"


def test_leaving_any_number_of_times_is_not_held_against_a_job_that_dies_later(
    session: Session,
) -> None:
    job_id = make_running(session).id
    for attempt in range(1, MAX_DEATHS + 2):
        leave(session, job_id, attempt=attempt)
        assert (job := claim(session)) is not None
        assert (job.attempt, job.deaths) == (attempt + 1, 0)
    die(session, job_id, attempt=MAX_DEATHS + 2)
    assert (job := claim(session)) is not None
    assert job.deaths == 1


def test_a_death_counts_whether_it_was_reported_or_only_silence_told_of_it(
    session: Session,
) -> None:
    job_id = make_running(session).id
    die(session, job_id, attempt=1)
    claim(session)
    leave(session, job_id, attempt=2)
    claim(session)
    assert (job := claim(session, now=later(60))) is not None
    assert (job.attempt, job.deaths) == (4, 2)
    die(session, job_id, attempt=4)
    assert jobs.get(session, job_id).status == JobStatus.FAILED


def test_a_job_that_advances_between_its_deaths_is_never_given_up(session: Session) -> None:
    job_id = make_running(session).id
    for attempt in range(1, 3 * MAX_DEATHS):
        _advance(session, job_id, attempt=attempt, step=attempt)
        assert jobs.get(session, job_id).deaths == 0
        if attempt % 2:
            die(session, job_id, attempt=attempt)
        assert (job := claim(session, now=later(60 * attempt))) is not None
        assert (job.attempt, job.deaths) == (attempt + 1, 1)


@pytest.mark.parametrize(("step", "deaths"), [(9, 1), (10, 1), (11, 0)])
def test_only_a_snapshot_further_on_is_progress(session: Session, step: int, deaths: int) -> None:
    job_id = make_running(session).id
    _advance(session, job_id, attempt=1, step=10)
    die(session, job_id, attempt=1)
    claim(session)
    _advance(session, job_id, attempt=2, step=step)
    assert jobs.get(session, job_id).deaths == deaths


def _advance(session: Session, job_id: UUID, *, attempt: int, step: int) -> None:
    snapshots.put(session, job_id, attempt=attempt, step=step, blob_key="a" * 64, bytes_=1, now=NOW)


@pytest.mark.parametrize("part", [leave, partial(die, max_deaths=1)])
def test_a_job_to_be_cancelled_ends_when_its_worker_leaves_or_dies(
    session: Session, part: Callable[..., None]
) -> None:
    job_id = make_running(session).id
    jobs.cancel(session, job_id, now=NOW)
    part(session, job_id, attempt=1)
    assert jobs.get(session, job_id).status == JobStatus.CANCELLED


def test_cancelling_a_waiting_job_ends_it(session: Session) -> None:
    job_id = make_job(session).id
    job = jobs.cancel(session, job_id, now=later(1))
    assert (job.status, job.ended_at) == (JobStatus.CANCELLED, later(1))
    assert told(session, job_id) == ["queued", "cancelled"]
    assert claim(session) is None


def test_cancelling_a_running_job_asks_its_worker(session: Session) -> None:
    job_id = make_running(session).id
    for _ in range(2):
        assert jobs.cancel(session, job_id, now=NOW).status == JobStatus.RUNNING
    assert jobs.hold(session, job_id, attempt=1, lease_s=LEASE_S, now=NOW).cancel_requested
    jobs.stop(session, job_id, attempt=1, now=NOW)
    assert jobs.get(session, job_id).status == JobStatus.CANCELLED


def test_a_cancelled_job_whose_worker_fell_silent_is_ended_and_not_run_again(
    session: Session,
) -> None:
    job_id = make_running(session).id
    jobs.cancel(session, job_id, now=NOW)
    assert jobs.waiting(session, now=later(60)) == 1
    assert claim(session, now=later(60)) is None
    job = jobs.get(session, job_id)
    assert (job.status, job.attempt, job.error) == (JobStatus.CANCELLED, 1, None)
    assert jobs.waiting(session, now=later(60)) == 0


@pytest.mark.parametrize("end", [jobs.succeed, jobs.stop, partial(jobs.fail, error="no")])
def test_an_ended_job_cannot_be_cancelled(session: Session, end: Callable[..., None]) -> None:
    job_id = make_running(session).id
    end(session, job_id, attempt=1, now=NOW)
    with pytest.raises(ConflictError, match="ended already"):
        jobs.cancel(session, job_id, now=NOW)


def test_cancelling_nothing_is_not_found(session: Session) -> None:
    with pytest.raises(NotFoundError):
        jobs.cancel(session, uuid4(), now=NOW)


def test_the_position_counts_who_goes_before(session: Session) -> None:
    first = make_job(session, priority=1, now=later(2))
    second = make_job(session, now=later(0))
    third = make_job(session, now=later(1))
    assert [turn.position(session, job) for job in (first, second, third)] == [0, 1, 2]
    running = claim(session, now=later(3))
    assert running is not None
    assert running.id == first.id
    assert [turn.position(session, job) for job in (running, second, third)] == [None, 0, 1]


def test_waiting_counts_what_could_be_claimed(session: Session) -> None:
    make_running(session)
    make_job(session)
    jobs.cancel(session, make_job(session).id, now=NOW)
    assert jobs.waiting(session, now=NOW) == 1
    assert jobs.waiting(session, now=later(60)) == 2


def test_totals_name_every_status(session: Session) -> None:
    assert set(jobs.totals(session).by_status.values()) == {0}
    make_running(session)
    make_job(session)
    make_job(session)
    totals = jobs.totals(session)
    assert totals.by_status == {"queued": 2, "running": 1, "paused": 0} | {
        "succeeded": 0,
        "failed": 0,
        "cancelled": 0,
    }
    assert (totals.retries, totals.expiries) == (0, 0)


def test_totals_count_attempts_beyond_the_first_and_leases_that_ran_out(session: Session) -> None:
    job = make_running(session)
    assert claim(session, now=later(10)) is not None  # it ran out
    leave(session, job.id, attempt=2)
    assert claim(session, now=later(11)) is not None  # it was given back
    totals = jobs.totals(session)
    assert (totals.retries, totals.expiries) == (2, 1)
    for attempt in range(MAX_DEATHS):  # it runs out again and again, to the last time
        claim(session, now=later(99 * (attempt + 1)))
    totals = jobs.totals(session)
    assert (totals.retries, totals.expiries, totals.by_status["failed"]) == (3, MAX_DEATHS, 1)


def test_events_are_read_page_by_page(session: Session) -> None:
    job_id = make_running(session).id
    for step in range(5):
        jobs.add_event(
            session,
            job_id,
            attempt=1,
            kind=EventKind.METRICS,
            data={"loss": 1 / (step + 1)},
            now=later(step),
            step=step,
        )
    read: list[JobEvent] = []
    while chunk := jobs.events(session, job_id, after=read[-1].id if read else 0, limit=3):
        read.extend(chunk)
    assert [event.step for event in read] == [None, None, 0, 1, 2, 3, 4]
    assert read[-1].data == {"loss": 0.2}


def test_a_resumed_run_forgets_the_figures_beyond_its_snapshot(session: Session) -> None:
    job_id = make_running(session).id
    tell = partial(jobs.add_event, session, job_id, attempt=1, data={}, now=NOW)
    for step in (1, 2, 3):
        tell(kind=EventKind.METRICS, step=step)
        tell(kind=EventKind.LOG, step=step)
    jobs.forget_metrics_after(session, job_id, attempt=1, step=1)
    left = [(e.kind.value, e.step) for e in jobs.events(session, job_id, limit=99)[2:]]
    assert left == [("metrics", 1), ("log", 1), ("log", 2), ("log", 3)]


def test_figures_that_json_cannot_say_are_refused_on_both_databases(session: Session) -> None:
    job_id = make_running(session).id
    with pytest.raises(Exception, match="Out of range float"):
        jobs.add_event(
            session, job_id, attempt=1, kind=EventKind.METRICS, data={"loss": float("nan")}, now=NOW
        )


def test_a_newer_snapshot_takes_the_place_and_names_the_old_blob(session: Session) -> None:
    job_id = make_running(session).id
    assert snapshots.of_job(session, job_id) == []
    put = partial(snapshots.put, session, job_id, attempt=1, bytes_=4_000_000_000)
    assert put(step=10, blob_key="a" * 64, now=NOW) == []
    assert put(step=20, blob_key="b" * 64, now=later(1)) == ["a" * 64]
    assert put(step=30, blob_key="b" * 64, now=later(2)) == []
    assert put(step=30, blob_key="b" * 64, now=later(2)) == []
    [snapshot] = snapshots.of_job(session, job_id)
    assert (snapshot.step, snapshot.blob_key, snapshot.bytes) == (30, "b" * 64, 4_000_000_000)
    assert snapshot.created_at == later(2)
    assert checkpoints.blob_in_use(session, "b" * 64)
    assert not checkpoints.blob_in_use(session, "a" * 64)


def test_so_many_of_the_newest_snapshots_are_kept_as_are_wanted(session: Session) -> None:
    job_id = make_running(session).id
    put = partial(snapshots.put, session, job_id, attempt=1, bytes_=1, now=NOW, keep=3)
    told = [put(step=step, blob_key=letter * 64) for step, letter in enumerate("abcde", 1)]
    assert told == [[], [], [], ["a" * 64], ["b" * 64]]
    assert [one.step for one in snapshots.of_job(session, job_id)] == [5, 4, 3]
    assert put(step=4, blob_key="f" * 64) == ["e" * 64, "d" * 64], "it went on from step 3"
    assert [one.step for one in snapshots.of_job(session, job_id)] == [4, 3]
    assert put(step=9, blob_key="f" * 64, keep=1) == ["c" * 64]


def test_only_the_snapshots_of_ended_jobs_are_dropped(session: Session) -> None:
    ended, running = make_running(session).id, make_running(session).id
    for job_id, letter in ((ended, "a"), (running, "b")):
        snapshots.put(session, job_id, attempt=1, step=1, blob_key=letter * 64, bytes_=1, now=NOW)
    jobs.succeed(session, ended, attempt=1, now=NOW)
    assert snapshots.drop_ended(session) == ["a" * 64]
    assert snapshots.drop_ended(session) == []
    assert snapshots.of_job(session, ended) == []
    assert len(snapshots.of_job(session, running)) == 1


def test_jobs_are_listed_newest_first_page_by_page(session: Session) -> None:
    expected = [make_job(session, now=later(-age // 2)).id for age in range(5)]
    read = jobs.page(session, limit=2)
    while chunk := jobs.page(session, before=read[-1].id, limit=2):
        read.extend(chunk)
    assert {job.id for job in read} == set(expected)
    assert len(read) == 5
    moments = [job.created_at for job in read]
    assert moments == sorted(moments, reverse=True)


def test_jobs_are_listed_by_status(session: Session) -> None:
    running = make_running(session)
    make_job(session)
    assert [job.id for job in jobs.page(session, status=JobStatus.RUNNING, limit=9)] == [running.id]


def test_a_page_after_nothing_is_not_found(session: Session) -> None:
    with pytest.raises(NotFoundError, match="no job"):
        jobs.page(session, before=uuid4(), limit=1)


def test_what_another_session_changed_is_read_anew(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        job = make_job(session)
    with sessions() as one, sessions.begin() as other:
        seen = jobs.get(one, job.id)
        jobs.cancel(other, job.id, now=NOW)
        other.commit()
        assert seen.status == JobStatus.QUEUED
        assert jobs.get(one, job.id).status == JobStatus.CANCELLED


def test_nothing_is_left_behind_by_a_deleted_job(session: Session) -> None:
    job = make_running(session)
    snapshots.put(session, job.id, attempt=1, step=1, blob_key="a" * 64, bytes_=1, now=NOW)
    session.delete(job)
    session.flush()
    assert session.scalars(select(func.count()).select_from(JobEvent)).one() == 0
