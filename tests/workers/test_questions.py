"""Job workers and the pieces of a job that asks questions, with real children."""

import json
from uuid import UUID

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.specs import GenerateJob, GenerateSpec
from core.storage import documents, pairs, pieces
from core.storage import jobs as rows
from core.storage.pairs import PairFilter
from core.storage.tables import JobKind, JobStatus, PieceStatus
from tests.core.pipelines.conftest import asker_bytes
from tests.core.pipelines.small import PASSAGES
from tests.core.storage.rows import make_checkpoint
from tests.workers.test_jobs import ONE_DATABASE, show, stays, sweep
from workers import jobs, runtime

__all__ = ["asker_bytes", "stays"]

pytestmark = [ONE_DATABASE, pytest.mark.timeout(300)]  # torch is loaded


def queue(sessions: sessionmaker[Session], asker: bytes) -> UUID:
    """Queue questions about each of some documents, which is a piece of its own."""
    now = runtime.now()
    with sessions.begin() as session:
        checkpoint = make_checkpoint(session, blob_key=runtime.blobs().put(asker))
        more = {"title": "town", "language": None, "name": None, "format": "text", "bytes_": 1}
        kept = [
            documents.add(session, text=passage.context, now=now, **more)[0].id
            for passage in PASSAGES
        ]
        spec = GenerateJob(
            model="q",
            checkpoint=checkpoint.id,
            documents=len(kept),
            options=GenerateSpec(round_trip=0.0, per_kind=1.0),
        )
        told = json.loads(spec.model_dump_json())
        job = rows.enqueue(session, kind=JobKind.GENERATE, spec=told, priority=0, now=now)
        pieces.cut(session, job.id, [(one, pieces.CHARACTERS) for one in kept])
        return job.id


def test_a_worker_does_all_pieces_where_nobody_helps(sessions, asker_bytes) -> None:
    job = queue(sessions, asker_bytes)
    jobs.run()
    left = show(sessions, job)
    assert (left.status, left.error, left.attempt) == (JobStatus.SUCCEEDED, None, 1)
    with sessions() as session:
        made = pairs.page(session, PairFilter(job_id=job), limit=100)
        assert len({pair.document_id for pair in made}) == len(PASSAGES)


def test_a_worker_that_is_free_helps_with_the_job_of_another(
    sessions, asker_bytes, messages
) -> None:
    job = queue(sessions, asker_bytes)
    with sessions.begin() as session:
        rows.claim_next(session, worker="busy", lease_s=300, max_deaths=3, now=runtime.now())
    sweep()
    assert messages("malgil.jobs") == jobs.RINGS_AT_ONCE
    jobs.run()
    with sessions() as session:
        standing = pieces.standing(session, job)
    assert standing.by_status == {PieceStatus.DONE: len(PASSAGES)}
    assert show(sessions, job).status == JobStatus.RUNNING, "who has it ends it"
    sweep()
    assert messages("malgil.jobs") == jobs.RINGS_AT_ONCE, "there is nothing left to help with"
