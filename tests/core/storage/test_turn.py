from uuid import UUID

from sqlalchemy.orm import Session

from core.storage import turn
from tests.core.storage.rows import claim, later, make_job

STEP_S = turn.STEP_S


def claimed_in_turn(session: Session, *, count: int) -> list[UUID]:
    return [job.id for _ in range(count) if (job := claim(session, now=later(9 * STEP_S)))]


def test_a_step_of_priority_outweighs_its_seconds_of_waiting_and_no_more(session: Session) -> None:
    low = make_job(session, now=later(0))
    just_in_time = make_job(session, priority=1, now=later(STEP_S - 1))
    too_late = make_job(session, priority=1, now=later(STEP_S + 1))
    expected = [just_in_time, low, too_late]
    assert [turn.position(session, job) for job in expected] == [0, 1, 2]
    assert claimed_in_turn(session, count=3) == [job.id for job in expected]


def test_whoever_waits_is_overtaken_for_a_bounded_time_only(session: Session) -> None:
    low = make_job(session, priority=-2, now=later(0))
    urgent = [make_job(session, priority=1, now=later(n * STEP_S)) for n in range(6)]
    order = claimed_in_turn(session, count=7)
    overtook = [job.id for job in urgent[:3]]
    assert set(order[: order.index(low.id)]) - {urgent[3].id} == set(overtook)
    assert order[-2:] == [job.id for job in urgent[4:]]


def test_the_position_is_the_order_in_which_jobs_are_claimed(session: Session) -> None:
    moments = [0, 0.25, 0.5, 700, 700, 1300.75, 1900]
    found = [
        make_job(session, priority=(-1) ** n * n, now=later(moment))
        for n, moment in enumerate(moments)
    ]
    places = {turn.position(session, job): job.id for job in found}
    assert [places[place] for place in range(len(found))] == claimed_in_turn(session, count=7)
