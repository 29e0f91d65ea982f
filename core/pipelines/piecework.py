"""One piece of a job: its documents to pairs, and both in one transaction to the database."""

from collections import Counter
from collections.abc import Set
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from core.errors import LeaseLostError, MalgilError
from core.pipelines.bundle import Bundle
from core.pipelines.lease import Lease
from core.pipelines.patience import DOWN
from core.pipelines.questioning import Questions, Seconds, question_texts
from core.pipelines.shelf import Models
from core.pipelines.sifting import Candidate
from core.pipelines.workshop import Workshop
from core.specs import GenerateJob, parse
from core.storage import checkpoints, documents, jobs, pairs, pieces
from core.storage.pairs import NewPair
from core.storage.pieces import Hold, hold_of
from core.storage.tables import Piece

log = structlog.get_logger()

PARTS = ("model", "filters", "database")  # what the time of a piece goes to
TOGETHER = 8  # documents that are asked about at once; then it is looked whether to go on

Made = tuple[dict[UUID, Questions], Seconds]


def claim(session: Session, job_id: UUID, workshop: Workshop) -> Piece | None:
    """Take the next piece of a job, if there is one; commit even after None."""
    return pieces.claim(
        session,
        job_id,
        worker=workshop.worker,
        lease_s=workshop.lease_s,
        max_deaths=workshop.max_deaths,
        now=workshop.now(),
    )


class _PieceLease(Lease):
    """The lease of one piece; cancel and pause are those of its job."""

    def __init__(self, hold: Hold, **more: Any) -> None:
        super().__init__(**more)
        self._hold = hold

    def tell(self, session: Session) -> None:
        """Renew the lease and hear what is wished; raises LeaseLostError."""
        job = pieces.renew(session, self._hold, lease_s=self._lease_s, now=self._now())
        self.cancelled, self.paused = job.cancel_requested, job.pause_requested


class Asker:
    """The model of a job and what it is asked for, read when they are first needed."""

    def __init__(self, job_id: UUID, workshop: Workshop) -> None:
        with workshop.sessions() as session:
            self.spec = parse(GenerateJob, jobs.get(session, job_id).spec)
        fetch = partial(checkpoints.content, workshop.sessions, workshop.blobs)
        self._models = Models(fetch, limit=1, precision="fp32")

    @property
    def bundle(self) -> Bundle:
        """The model. Raises NotFoundError where it is gone."""
        return self._models.get(str(self.spec.checkpoint))


def work_on(piece: Piece, asker: Asker, workshop: Workshop) -> None:
    """Do a piece, or let go of it where its job is to stop or rest, or the process to leave.

    What no retry can help with fails the piece, and what is down gives it back.
    """
    hold = hold_of(piece)
    lease = workshop.lease(piece.job_id, piece.attempt, partial(_PieceLease, hold))
    with lease:
        try:
            made = _make(piece, lease, asker, workshop)
            with workshop.sessions.begin() as session:
                if made is None:
                    pieces.give_back(session, hold)
                else:
                    _keep(session, made, piece, workshop)
        except LeaseLostError as error:
            log.warning("a piece was let go of without writing", reason=str(error))
        except DOWN:
            _give_back(hold, workshop)
            raise
        except MalgilError as error:
            with workshop.sessions.begin() as session:
                pieces.fail(session, hold, error=str(error))


def _give_back(hold: Hold, workshop: Workshop) -> None:
    try:
        with workshop.sessions.begin() as session:
            pieces.give_back(session, hold)
    except (*DOWN, LeaseLostError) as error:  # then its lease runs out
        log.warning("a piece could not be given back", reason=str(error))


def _make(piece: Piece, lease: _PieceLease, asker: Asker, workshop: Workshop) -> Made | None:
    """Return the questions about the documents of a piece; None where it is to be let go of."""
    made: dict[UUID, Questions] = {}
    seconds = Seconds()
    ids = [UUID(one) for one in piece.documents]
    for first in range(0, len(ids), TOGETHER):
        lease.check()
        if lease.cancelled or lease.paused or workshop.leaving():
            return None
        with seconds.of("database"), workshop.sessions() as session:
            texts = documents.known_texts(session, ids[first : first + TOGETHER])
        known = [one for one in ids[first : first + TOGETHER] if one in texts]
        found = question_texts(
            asker.bundle, [texts[one] for one in known], asker.spec.options, seconds
        )
        made |= dict(zip(known, found, strict=True))
    return made, seconds


def _keep(session: Session, made: Made, piece: Piece, workshop: Workshop) -> None:
    """Write the pairs of a piece and that it is done: all of it, once, or none."""
    questions, seconds = made
    with seconds.of("database"):
        still_there = documents.hold(session, questions)
        rows = [
            _row(piece.job_id, document, one)
            for document, found in questions.items()
            if document in still_there
            for one in found.kept
        ]
        pairs.put(session, rows, now=workshop.now())
    counts = _counts(piece, questions, still_there, seconds)
    pieces.finish(session, hold_of(piece), counts=counts)


def _row(job_id: UUID, document: UUID, one: Candidate) -> NewPair:
    return NewPair(
        job_id=job_id,
        document_id=document,
        question=one.question,
        answer_start=one.span.start,
        answer_end=one.span.end,
        answer=one.answer,
        rank=one.rank,
        scores=one.scores,
    )


def _counts(
    piece: Piece, made: dict[UUID, Questions], there: Set[UUID], seconds: Seconds
) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for document, one in made.items():
        counts["passages"] += one.passages
        counts["asked"] += one.asked
        counts["pairs"] += len(one.kept) if document in there else 0
        counts.update({f"dropped: {reason}": count for reason, count in one.dropped.items()})
    counts["documents"] = len(piece.documents)
    counts["vanished"] = len(piece.documents) - len(there)
    counts.update({f"{part}_ms": round(1e3 * spent) for part, spent in seconds.spent.items()})
    return +counts
