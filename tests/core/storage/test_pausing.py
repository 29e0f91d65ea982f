from collections.abc import Callable
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy.orm import Session

from core.errors import ConflictError, LeaseLostError, NotFoundError
from core.storage import jobs, pausing
from core.storage.tables import JobStatus
from tests.core.storage.rows import LEASE_S, NOW, claim, later, make_job, make_running
from tests.core.storage.test_jobs import told


def test_a_waiting_job_rests_until_it_is_resumed(session: Session) -> None:
    job_id = make_job(session).id
    for _ in range(2):
        assert pausing.pause(session, job_id, now=NOW).status == JobStatus.PAUSED
    assert claim(session, now=later(999)) is None
    assert jobs.waiting(session, now=later(999)) == 0
    for _ in range(2):
        assert pausing.resume(session, job_id, now=NOW).status == JobStatus.QUEUED
    assert (job := claim(session)) is not None
    assert (job.id, job.attempt) == (job_id, 1)
    assert told(session, job_id) == ["queued", "paused", "queued", "running"]


def test_the_worker_of_a_running_job_is_asked_and_puts_it_aside(session: Session) -> None:
    job_id = make_running(session).id
    assert pausing.pause(session, job_id, now=NOW).status == JobStatus.RUNNING
    assert jobs.hold(session, job_id, attempt=1, lease_s=LEASE_S, now=NOW).pause_requested
    pausing.put_aside(session, job_id, attempt=1, now=NOW)
    job = jobs.get(session, job_id)
    assert (job.status, job.pause_requested, job.worker) == (JobStatus.PAUSED, False, None)
    assert (job.lease_until, job.deaths) == (None, 0)
    with pytest.raises(LeaseLostError):
        pausing.put_aside(session, job_id, attempt=1, now=NOW)
    pausing.resume(session, job_id, now=NOW)
    assert (again := claim(session)) is not None
    assert (again.attempt, again.pause_requested) == (2, False)


def test_a_wish_that_was_taken_back_in_time_queues_the_job_again(session: Session) -> None:
    job_id = make_running(session).id
    pausing.pause(session, job_id, now=NOW)
    assert not pausing.resume(session, job_id, now=NOW).pause_requested
    assert not jobs.hold(session, job_id, attempt=1, lease_s=LEASE_S, now=NOW).pause_requested
    pausing.put_aside(session, job_id, attempt=1, now=NOW)  # it had begun to, before
    assert jobs.get(session, job_id).status == JobStatus.QUEUED


die = partial(jobs.report_death, max_deaths=3, reason="killed", now=NOW)
leave = partial(jobs.give_back, reason="shutting down", now=NOW)


@pytest.mark.parametrize(("part", "deaths"), [(leave, 0), (die, 1)])
def test_a_job_to_be_paused_rests_when_its_worker_leaves_or_dies(
    session: Session, part: Callable[..., None], deaths: int
) -> None:
    job_id = make_running(session).id
    pausing.pause(session, job_id, now=NOW)
    part(session, job_id, attempt=1)
    job = jobs.get(session, job_id)
    assert (job.status, job.deaths) == (JobStatus.PAUSED, deaths)


def test_a_job_to_be_paused_whose_worker_fell_silent_rests_and_is_not_run_again(
    session: Session,
) -> None:
    job_id = make_running(session).id
    pausing.pause(session, job_id, now=NOW)
    assert jobs.waiting(session, now=later(60)) == 1
    assert claim(session, now=later(60)) is None
    job = jobs.get(session, job_id)
    assert (job.status, job.attempt, job.deaths) == (JobStatus.PAUSED, 1, 1)


def test_silence_at_the_last_death_fails_even_what_was_to_be_paused(session: Session) -> None:
    job_id = make_running(session).id
    for attempt in (2, 3):
        claim(session, now=later(60 * attempt))
    pausing.pause(session, job_id, now=NOW)
    assert claim(session, now=later(600)) is None
    job = jobs.get(session, job_id)
    assert (job.status, job.deaths) == (JobStatus.FAILED, 3)


def test_a_paused_job_is_cancelled_at_once(session: Session) -> None:
    job_id = make_job(session).id
    pausing.pause(session, job_id, now=NOW)
    assert jobs.cancel(session, job_id, now=NOW).status == JobStatus.CANCELLED


def test_to_cancel_counts_for_more_than_to_pause(session: Session) -> None:
    job_id = make_running(session).id
    pausing.pause(session, job_id, now=NOW)
    jobs.cancel(session, job_id, now=NOW)
    with pytest.raises(ConflictError, match="cancelled"):
        pausing.pause(session, job_id, now=NOW)
    pausing.put_aside(session, job_id, attempt=1, now=NOW)
    job = jobs.get(session, job_id)
    assert (job.status, job.pause_requested) == (JobStatus.CANCELLED, False)


@pytest.mark.parametrize("act", [pausing.pause, pausing.resume])
@pytest.mark.parametrize("end", [jobs.succeed, jobs.stop, partial(jobs.fail, error="no")])
def test_what_has_ended_neither_rests_nor_goes_on(
    session: Session, act: Callable[..., object], end: Callable[..., None]
) -> None:
    job_id = make_running(session).id
    end(session, job_id, attempt=1, now=NOW)
    with pytest.raises(ConflictError, match=f"ended already: {jobs.get(session, job_id).status}"):
        act(session, job_id, now=NOW)
    with pytest.raises(NotFoundError):
        act(session, uuid4(), now=NOW)
