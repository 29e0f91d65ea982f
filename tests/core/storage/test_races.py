"""Several processes or threads at once, as the API, the workers and beat are."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier
from typing import TypeVar
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.errors import ConflictError, LeaseLostError, NotFoundError
from core.storage import aliases, conversations, corpora, jobs
from core.storage.tables import EventKind, Job, JobStatus, Role
from tests.core.storage.rows import (
    LEASE_S,
    NOW,
    begin_corpus,
    claim,
    later,
    make_checkpoint,
    make_corpus,
    make_job,
    make_running,
)

ROOT = Path(__file__).parents[3]
JOBS = 50
Result = TypeVar("Result")


def at_once(count: int, work: Callable[[int], Result]) -> list[Result]:
    """Do the work in that many threads that begin together."""
    barrier = Barrier(count)

    def begin(number: int) -> Result:
        barrier.wait(timeout=30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def tell(processes: list[subprocess.Popen[str]], word: str) -> None:
    """Write a line to each."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{word}\n")
        process.stdin.flush()


def workers(sessions: sessionmaker[Session]) -> set[str | None]:
    """Return who has ended a job."""
    ended = select(Job.worker).where(Job.status == JobStatus.SUCCEEDED)
    with sessions() as session:
        return set(session.scalars(ended))


def test_processes_that_race_for_jobs_claim_each_once(
    sessions: sessionmaker[Session], database_url: str
) -> None:
    with sessions.begin() as session:
        queued = {make_job(session).id for _ in range(JOBS)}
    racer = [sys.executable, "-m", "tests.core.storage.racer", database_url]
    with ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(
                    [*racer, f"w{number}"],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(2)
        ]
        for process in racers:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        tell(racers, "go")
        for _ in range(1_000):  # the API goes on reading and writing meanwhile
            with sessions.begin() as session:
                conversations.start(session, model="bot", now=NOW)
                queued.add(make_job(session).id)
                many = jobs.totals(session).by_status["succeeded"] >= JOBS
            if many and len(workers(sessions)) == len(racers):  # else it was no race
                break
        tell(racers, "enough")
        claimed = [
            [UUID(line) for line in process.communicate(timeout=100)[0].split()]
            for process in racers
        ]
    assert [process.returncode for process in racers] == [0, 0]
    assert all(claimed), "one process did everything"
    assert sorted(claimed[0] + claimed[1]) == sorted(queued)
    with sessions() as session:
        assert jobs.totals(session).by_status["succeeded"] == len(queued)
        for job_id in queued:
            events = jobs.events(session, job_id, limit=99)
            states = [event.data.get("status") for event in events]
            assert states == ["queued", "running", None, "succeeded"]


def test_a_lost_job_is_claimed_again_by_one_only(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        job_id = make_running(session).id

    def take(number: int) -> int | None:
        with sessions.begin() as session:
            job = claim(session, now=later(60), worker=f"w{number}")
            return job and job.attempt

    assert sorted(at_once(4, take), key=str) == [2, None, None, None]
    with sessions() as session:
        job = jobs.get(session, job_id)
        assert (job.attempt, job.deaths) == (2, 1)


def test_a_hopeless_job_is_failed_once(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        job_id = make_running(session).id
        for attempt in (2, 3):
            claim(session, now=later(60 * attempt))

    def take(_: int) -> bool:
        with sessions.begin() as session:
            return claim(session, now=later(600)) is None

    assert all(at_once(4, take))
    with sessions() as session:
        states = [event.data["status"] for event in jobs.events(session, job_id, limit=99)]
        assert states == ["queued", *["running"] * 3, "failed"]
        assert jobs.get(session, job_id).deaths == 3


@pytest.mark.parametrize("round_", range(5))
def test_ending_and_cancelling_at_once_leaves_one_end_state(
    sessions: sessionmaker[Session], round_: int
) -> None:
    with sessions.begin() as session:
        job_id = make_running(session).id

    def act(number: int) -> str:
        with sessions.begin() as session:
            if number == 0:
                jobs.succeed(session, job_id, attempt=1, now=NOW)
                return "succeeded"
            try:
                return jobs.cancel(session, job_id, now=NOW).status.value
            except ConflictError:
                return "ended already"

    assert at_once(2, act) in (["succeeded", "running"], ["succeeded", "ended already"])
    with sessions() as session:
        assert jobs.get(session, job_id).status == JobStatus.SUCCEEDED


def test_an_old_attempt_cannot_slip_a_write_past_a_new_claim(
    sessions: sessionmaker[Session],
) -> None:
    with sessions.begin() as session:
        job_id = make_running(session).id

    def act(number: int) -> bool:
        try:
            with sessions.begin() as session:
                if number == 0:
                    return claim(session, now=later(60)) is not None
                for step in range(5):
                    jobs.add_event(
                        session,
                        job_id,
                        attempt=1,
                        kind=EventKind.METRICS,
                        data={},
                        now=NOW,
                        step=step,
                    )
                return True
        except LeaseLostError:
            return False

    claimed, told = at_once(2, act)
    with sessions.begin() as session:
        if not claimed:  # the job was locked by the writer, and is free now
            assert claim(session, now=later(60)) is not None
        attempts = [event.attempt for event in jobs.events(session, job_id, limit=99)]
    assert attempts == [0, 1, *[1] * (5 if told else 0), 2]


def test_imports_of_one_name_at_once_get_versions_of_their_own(
    sessions: sessionmaker[Session],
) -> None:
    def create(_: int) -> int:
        with sessions.begin() as session:
            return begin_corpus(session).version

    assert sorted(at_once(4, create)) == [1, 2, 3, 4]


def test_turns_said_at_once_get_positions_of_their_own(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        talk = conversations.start(session, model="bot", now=NOW)

    def say(number: int) -> int:
        with sessions.begin() as session:
            turn = conversations.add_turn(
                session, talk.id, role=Role.USER, text=str(number), score=None, now=NOW
            )
            return turn.position

    assert sorted(at_once(4, say)) == [0, 1, 2, 3]


def test_promotions_at_once_leave_a_history_that_fits(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        ids = [make_checkpoint(session).id for _ in range(4)]
        aliases.promote(session, "bot", ids[0], now=NOW)

    def promote(number: int) -> None:
        with sessions.begin() as session:
            aliases.promote(session, "bot", ids[number + 1], now=NOW)

    at_once(3, promote)
    with sessions() as session:
        history = aliases.history(session, "bot")
        assert len(history) == 4
        assert aliases.get(session, "bot").checkpoint_id == history[0].checkpoint_id


def test_a_name_made_twice_at_once_is_a_conflict_or_one_after_the_other(
    sessions: sessionmaker[Session],
) -> None:
    with sessions.begin() as session:
        ids = [make_checkpoint(session).id for _ in range(3)]

    def promote(number: int) -> bool:
        try:
            with sessions.begin() as session:
                aliases.promote(session, "bot", ids[number], now=NOW)
        except ConflictError:
            return False
        return True

    made = sum(at_once(3, promote))
    assert made >= 1
    with sessions() as session:
        assert len(aliases.history(session, "bot")) == made


def test_a_corpus_is_either_deleted_or_used(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        job = make_job(session)
        corpus_id = make_corpus(session, "contested").id

    def act(number: int) -> bool:
        try:
            with sessions.begin() as session:
                if number == 0:
                    corpora.delete(session, corpus_id)
                else:
                    jobs.enqueue(
                        session, kind=job.kind, corpus_id=corpus_id, spec={}, priority=0, now=NOW
                    )
        except (ConflictError, NotFoundError):
            return False
        return True

    assert sorted(at_once(2, act)) == [False, True]


def test_holding_many_jobs_at_once_never_finds_the_database_locked(
    sessions: sessionmaker[Session],
) -> None:
    with sessions.begin() as session:
        ids = [make_running(session).id for _ in range(4)]

    def hold(number: int) -> int:
        for second in range(15):
            with sessions.begin() as session:
                jobs.get(session, ids[number])  # reading before writing, as entries do
                jobs.hold(
                    session,
                    ids[number],
                    attempt=1,
                    lease_s=LEASE_S,
                    now=later(second),
                    progress={"step": second},
                )
        return number

    assert at_once(4, hold) == [0, 1, 2, 3]
