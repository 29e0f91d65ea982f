"""Rows that tests need to be there already."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session, sessionmaker

from core.specs import Plan, TrainJob
from core.storage import checkpoints, corpora, documents, jobs, pairs
from core.storage.pairs import NewPair
from core.storage.tables import Checkpoint, Corpus, CorpusKind, Document, Job, JobKind, Split

NOW = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)


def add_corpus(
    sessions: sessionmaker[Session],
    *,
    name: str = "talk",
    kind: CorpusKind = CorpusKind.PAIRS,
    train: int = 3,
    valid: int = 1,
    now: datetime = NOW,
) -> Corpus:
    """Keep a corpus of numbered pairs."""
    content: dict[str, Any] = {"source": "a", "target": "b"}
    if kind == CorpusKind.DIALOGUES:
        content = {"turns": ["a", "b"]}
    if kind == CorpusKind.TEXT:
        content = {"text": "a"}
    splits = [Split.TRAIN] * train + [Split.VALID] * valid
    with sessions.begin() as session:
        corpus = corpora.create(
            session,
            name=name,
            kind=kind,
            source_language=None,
            target_language=None,
            licence=None,
            sha256="0" * 64,
            bytes_=10,
            now=now,
        )
        rows = [(split, line, content) for line, split in enumerate(splits, start=1)]
        corpora.add_examples(session, corpus.id, rows)
        return corpora.finish(session, corpus.id, bad_lines=0)


def add_job(
    sessions: sessionmaker[Session],
    corpus_id: UUID | None = None,
    *,
    priority: int = 0,
    now: datetime = NOW,
) -> Job:
    """Queue a training."""
    if corpus_id is None:
        corpus_id = add_corpus(sessions).id
    with sessions.begin() as session:
        return jobs.enqueue(
            session,
            kind=JobKind.TRAIN,
            corpus_id=corpus_id,
            spec=TrainJob(plan=Plan()).model_dump(mode="json"),
            priority=priority,
            now=now,
        )


def claim(sessions: sessionmaker[Session], *, now: datetime = NOW, lease_s: float = 60) -> Job:
    """Let a worker take the next job."""
    with sessions.begin() as session:
        job = jobs.claim_next(session, worker="test", lease_s=lease_s, max_deaths=3, now=now)
    assert job is not None
    return job


def add_checkpoint(
    sessions: sessionmaker[Session],
    *,
    job_id: UUID | None = None,
    blob_key: str = "0" * 64,
    bytes_: int = 10,
    plan: Plan | None = None,
    now: datetime = NOW,
) -> Checkpoint:
    """Keep a checkpoint, whether or not its blob is there."""
    with sessions.begin() as session:
        return checkpoints.add(
            session,
            job_id=job_id,
            step=900,
            spec=(plan or Plan()).model_dump(mode="json"),
            metrics={"valid_loss": 1.5},
            report={"metrics": {"valid_loss": 1.5}},
            blob_key=blob_key,
            bytes_=bytes_,
            now=now,
        )


def add_document(
    sessions: sessionmaker[Session],
    text: str = "We open at nine. 저녁 여섯 시에 닫는다. 👩\u200d👧 The river is near.",
    *,
    title: str = "Hours",
    now: datetime = NOW,
) -> Document:
    """Keep a document."""
    with sessions.begin() as session:
        document, _ = documents.add(
            session,
            title=title,
            text=text,
            language="en",
            name="hours.txt",
            format="text",
            bytes_=len(text.encode()),
            now=now,
        )
        return document


def add_pairs(
    sessions: sessionmaker[Session],
    document: Document,
    *places: tuple[int, int],
    now: datetime = NOW,
) -> list[UUID]:
    """Keep pairs about slices of a document; return their ids."""
    new = [
        NewPair(
            document_id=document.id,
            question=f"Question {number}?",
            answer_start=start,
            answer_end=end,
            scores={"sure": number / 10},
        )
        for number, (start, end) in enumerate(places or ((3, 7), (8, 15)))
    ]
    with sessions.begin() as session:
        pairs.put(session, new, now=now)
    return [pairs.identify(pair) for pair in new]
