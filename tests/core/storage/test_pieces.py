"""Pieces of a job: who works on which."""

from uuid import uuid4

import pytest
from sqlalchemy.orm import Session

from core.errors import LeaseLostError
from core.storage import jobs, pausing, pieces
from core.storage.pieces import CHARACTERS, DOCUMENTS, hold_of
from core.storage.tables import Job, JobKind, Piece, PieceStatus
from tests.core.storage.rows import LEASE_S, MAX_DEATHS, NOW, claim, later


def make_job(session: Session, lengths: list[int], *, running: bool = True) -> Job:
    job = jobs.enqueue(session, kind=JobKind.GENERATE, spec={}, priority=0, now=NOW)
    pieces.cut(session, job.id, [(uuid4(), length) for length in lengths])
    return (claim(session) or job) if running else job


def take(session: Session, job: Job, *, worker: str = "w", now=NOW) -> Piece | None:
    return pieces.claim(
        session, job.id, worker=worker, lease_s=LEASE_S, max_deaths=MAX_DEATHS, now=now
    )


def taken(session: Session, job: Job, **more) -> Piece:
    piece = take(session, job, **more)
    assert piece is not None
    return piece


def test_a_job_is_cut_by_length_and_number_and_nothing_is_left_out(session: Session) -> None:
    lengths = [CHARACTERS + 1, 10, CHARACTERS - 10, 1, *[1] * DOCUMENTS]
    job = make_job(session, lengths)
    cut = []
    while (piece := take(session, job)) is not None:
        cut.append(len(piece.documents))
    assert cut == [1, 2, DOCUMENTS, 1]
    assert sum(cut) == len(lengths)


def test_pieces_are_taken_once_each_and_only_while_the_job_runs(session: Session) -> None:
    job = make_job(session, [CHARACTERS] * 2, running=False)
    assert take(session, job) is None, "it waits"
    assert pieces.job_to_help(session, now=NOW) is None
    assert claim(session) is not None
    helped = pieces.job_to_help(session, now=NOW)
    assert helped is not None
    assert helped.id == job.id
    assert [taken(session, job).number for _ in range(2)] == [0, 1]
    assert take(session, job) is None
    assert pieces.job_to_help(session, now=NOW) is None
    assert pieces.job_to_help(session, now=later(LEASE_S + 1)) is not None


def test_a_piece_whose_lease_ran_out_is_anothers_and_its_old_worker_is_refused(
    session: Session,
) -> None:
    job = make_job(session, [1])
    old = hold_of(taken(session, job))
    pieces.renew(session, old, lease_s=LEASE_S, now=later(4))
    assert take(session, job, now=later(LEASE_S + 1)) is None, "it was renewed"
    new = taken(session, job, now=later(4 + LEASE_S + 1))
    assert (new.attempt, new.deaths) == (2, 1)
    for late in (
        lambda: pieces.renew(session, old, lease_s=LEASE_S, now=NOW),
        lambda: pieces.finish(session, old, counts={}),
        lambda: pieces.fail(session, old, error="no"),
        lambda: pieces.give_back(session, old),
    ):
        with pytest.raises(LeaseLostError):
            late()
    pieces.finish(session, hold_of(new), counts={"pairs": 3})
    with pytest.raises(LeaseLostError):
        pieces.finish(session, hold_of(new), counts={"pairs": 3})
    assert pieces.standing(session, job.id).counts == {"pairs": 3}


def test_a_piece_that_its_workers_die_of_fails_and_the_others_go_on(session: Session) -> None:
    job = make_job(session, [CHARACTERS] * 2)
    for death in range(MAX_DEATHS):
        assert taken(session, job, now=later(100 * death)).number == 0
    assert taken(session, job, now=later(1000)).number == 1
    standing = pieces.standing(session, job.id)
    assert standing.by_status == {PieceStatus.FAILED: 1, PieceStatus.RUNNING: 1}
    assert standing.error == f"Its workers died {MAX_DEATHS} times."
    assert standing.open == 1


def test_a_piece_that_is_done_forgets_the_deaths_of_its_job(session: Session) -> None:
    job = make_job(session, [1])
    job.deaths = 2
    pieces.finish(session, hold_of(taken(session, job)), counts={})
    assert jobs.get(session, job.id).deaths == 0


def test_no_piece_is_taken_or_written_of_a_job_that_rests_or_is_to_stop(session: Session) -> None:
    job = make_job(session, [CHARACTERS] * 2)
    hold = hold_of(taken(session, job))
    pausing.pause(session, job.id, now=NOW)
    assert take(session, job) is None
    assert pieces.renew(session, hold, lease_s=LEASE_S, now=NOW).pause_requested
    pausing.put_aside(session, job.id, attempt=job.attempt, now=NOW)
    with pytest.raises(LeaseLostError):
        pieces.finish(session, hold, counts={})
    pieces.take_back(session, job.id)
    pausing.resume(session, job.id, now=NOW)
    assert claim(session) is not None
    again = taken(session, job)
    assert (again.number, again.attempt, again.deaths) == (0, 2, 0), "that was no death"


def test_a_job_that_was_given_back_lets_its_helpers_finish(session: Session) -> None:
    job = make_job(session, [1])
    hold = hold_of(taken(session, job))
    jobs.give_back(session, job.id, attempt=job.attempt, reason="leaving", now=NOW)
    pieces.finish(session, hold, counts={"pairs": 1})
    assert pieces.standing(session, job.id).open == 0
