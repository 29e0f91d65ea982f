"""Rows that tests begin with."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from core.storage import checkpoints, corpora, jobs
from core.storage.tables import Checkpoint, Corpus, CorpusKind, Job, JobKind, Split

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LEASE_S = 6.0
MAX_DEATHS = 3


def later(seconds: float) -> datetime:
    """Return the moment that many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def begin_corpus(session: Session, name: str = "greetings", *, now: datetime = NOW) -> Corpus:
    """Begin a corpus that is not ready."""
    return corpora.create(
        session,
        name=name,
        kind=CorpusKind.PAIRS,
        source_language="ko",
        target_language=None,
        licence="CC0-1.0",
        sha256="0" * 64,
        bytes_=12,
        now=now,
    )


def make_corpus(session: Session, name: str = "greetings", *, now: datetime = NOW) -> Corpus:
    """Make a ready corpus of one example."""
    corpus = begin_corpus(session, name, now=now)
    content = {"source": "안녕", "target": "반가워요"}
    corpora.add_examples(session, corpus.id, [(Split.TRAIN, 1, content)])
    return corpora.finish(session, corpus.id, bad_lines=0)


def make_job(session: Session, *, priority: int = 0, now: datetime = NOW) -> Job:
    """Queue a job for a corpus of its own."""
    return jobs.enqueue(
        session,
        kind=JobKind.TRAIN,
        corpus_id=make_corpus(session).id,
        spec={"recipe": "smalltalk"},
        priority=priority,
        now=now,
    )


def claim(session: Session, *, now: datetime = NOW, worker: str = "w1") -> Job | None:
    """Claim as a worker does."""
    return jobs.claim_next(session, worker=worker, lease_s=LEASE_S, max_deaths=MAX_DEATHS, now=now)


def make_running(session: Session) -> Job:
    """Queue a job and claim it: attempt 1."""
    make_job(session)
    job = claim(session)
    assert job is not None
    return job


def make_checkpoint(
    session: Session, *, job_id: UUID | None = None, blob_key: str = "a" * 64, now: datetime = NOW
) -> Checkpoint:
    """Keep a checkpoint."""
    return checkpoints.add(
        session,
        job_id=job_id,
        step=100,
        spec={"model": {"hidden_dim": 8}},
        metrics={"loss": 0.5},
        report={"note": "말"},
        blob_key=blob_key,
        bytes_=5_000_000_000,
        now=now,
    )
