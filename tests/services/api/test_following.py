import asyncio
from itertools import count
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, sessionmaker

from core.storage import jobs
from services.api.following import follow
from tests.services.api.conftest import House
from tests.services.api.rows import NOW, add_job, claim


@pytest.fixture
def job(house: House) -> UUID:
    """A job that is worked on."""
    job = add_job(house.sessions).id
    claim(house.sessions)
    return job


def tell(house: House, job: UUID, **progress: object) -> None:
    with house.sessions.begin() as session:
        jobs.hold(session, job, attempt=1, lease_s=5, now=NOW, progress=progress)


def end(house: House, job: UUID) -> None:
    with house.sessions.begin() as session:
        jobs.succeed(session, job, attempt=1, now=NOW)


def followed(sessions: sessionmaker[Session], job: UUID) -> list[tuple[str, object]]:
    async def all_of_it() -> list[tuple[str, object]]:
        events = follow(sessions, job, after=0, stopping=lambda: False)
        return [(str(one.event), one.data) async for one in events]

    return asyncio.run(all_of_it())


def test_the_last_progress_is_told_before_the_end(house: House, job: UUID) -> None:
    tell(house, job, stage="report", held_s=3.0)
    end(house, job)
    *_, before, last = followed(house.sessions, job)
    assert before == ("progress", {"stage": "report", "held_s": 3.0})
    assert last[0] == "state"


def test_an_end_between_two_looks_is_still_the_last(house: House, job: UUID) -> None:
    reading = sessionmaker(house.sessions.kw["bind"], expire_on_commit=False)

    reads = count()

    @event.listens_for(reading, "do_orm_execute")
    def end_it_before_the_second_read(_: ORMExecuteState) -> None:
        if next(reads) == 1:  # the first was of the job, this one is of its events
            tell(house, job, stage="report")
            end(house, job)

    tell(house, job, stage="train")
    told = followed(reading, job)
    assert [name for name, _ in told] == ["state", "state", "progress", "state"]
    assert told[2][1] == {"stage": "train"}


def test_progress_without_a_stage_is_not_told(house: House, job: UUID) -> None:
    tell(house, job, held_s=0.0)
    end(house, job)
    assert [name for name, _ in followed(house.sessions, job)] == ["state", "state", "state"]
