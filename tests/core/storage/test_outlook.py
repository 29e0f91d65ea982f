import math
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from core.specs import Plan, TrainJob
from core.storage import jobs, outlook, pausing
from core.storage.outlook import Outlook, foresee, left_s
from core.storage.tables import JobKind
from tests.core.storage.rows import LEASE_S, NOW, claim, later, make_corpus

HALF = {"step": 50, "total_steps": 100, "elapsed_s": 40.0}


@pytest.mark.parametrize(
    ("progress", "limit_s", "expected"),
    [
        (HALF, None, 40.0),
        (HALF, 60.0, 20.0),
        (HALF, 600.0, 40.0),
        ({"stage": "encode"}, 60.0, 60.0),
        ({"stage": "encode"}, None, math.inf),
        ({"step": 0, "total_steps": 100, "elapsed_s": 0.0}, None, math.inf),
        ({"step": 100, "total_steps": 100, "elapsed_s": 80.0}, None, math.inf),
    ],
)
def test_what_is_left_comes_from_steps_and_limit(
    progress: dict[str, Any], limit_s: float | None, expected: float
) -> None:
    assert left_s(progress, limit_s) == expected


def queue(session: Session, limit_s: float | None = None, *, after: float = 0) -> UUID:
    plan = Plan()
    limited = plan.train.model_copy(update={"time_limit_s": limit_s})
    spec = TrainJob(plan=plan.model_copy(update={"train": limited})).model_dump(mode="json")
    return jobs.enqueue(
        session,
        kind=JobKind.TRAIN,
        corpus_id=make_corpus(session).id,
        spec=spec,
        priority=0,
        now=later(after),
    ).id


def tell(session: Session, job_id: UUID, progress: dict[str, Any]) -> None:
    jobs.hold(session, job_id, attempt=1, lease_s=LEASE_S, now=NOW, progress=progress)


def in_s(seconds: float | None) -> Any:
    return None if seconds is None else NOW + timedelta(seconds=seconds)


def test_workers_take_what_is_next_as_they_become_free(session: Session) -> None:
    first, second = queue(session), queue(session, after=0.1)
    for job_id, total in ((first, 100), (second, 200)):
        claimed = claim(session, now=later(1))
        assert claimed is not None
        assert claimed.id == job_id
        tell(session, job_id, {**HALF, "total_steps": total})
    queued = [queue(session, limit, after=2 + n) for n, limit in enumerate((100.0, 10.0, None, 5))]
    assert foresee(session, now=NOW) == {
        first: Outlook(None, in_s(40)),
        second: Outlook(None, in_s(120)),
        queued[0]: Outlook(in_s(40), in_s(140)),
        queued[1]: Outlook(in_s(120), in_s(130)),
        queued[2]: Outlook(in_s(130), None),
        queued[3]: Outlook(in_s(140), in_s(145)),
    }


def test_a_job_that_was_worked_on_before_tells_how_long_the_rest_takes(session: Session) -> None:
    job_id = queue(session)
    claim(session)
    tell(session, job_id, HALF)
    pausing.pause(session, job_id, now=NOW)
    pausing.put_aside(session, job_id, attempt=1, now=NOW)
    assert foresee(session, now=NOW) == {}
    pausing.resume(session, job_id, now=NOW)
    assert foresee(session, now=NOW) == {job_id: outlook.NOTHING}  # no worker is seen at work
    other = queue(session, 30.0, after=-1)
    assert (claimed := claim(session)) is not None
    assert claimed.id == other
    expected = {other: Outlook(None, in_s(30)), job_id: Outlook(in_s(30), in_s(70))}
    assert foresee(session, now=NOW) == expected
