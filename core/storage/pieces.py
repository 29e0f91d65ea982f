"""The pieces of a job: who works on which, under which attempt, and what came of it.

The job has a worker of its own, who ends it; any other may take pieces of it while it runs. What
holds for jobs holds for pieces: a lease, attempts, deaths. A piece whose job rests or has ended
takes no more writes. Nothing here commits.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, insert, or_, select, update
from sqlalchemy.orm import Session

from core.errors import LeaseLostError
from core.storage.attempts import storable
from core.storage.session import locked
from core.storage.tables import Job, JobKind, JobStatus, Piece, PieceStatus
from core.storage.turn import TURN

CHARACTERS = 20_000  # of a piece, unless its first document has more: seconds of work
DOCUMENTS = 32  # of a piece, at most
OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)  # a job that was given back goes on soon


class Hold(NamedTuple):
    """What a write to a piece names: which piece, and under which attempt."""

    job_id: UUID
    number: int
    attempt: int


def hold_of(piece: Piece) -> Hold:
    """Return what to name in writes to a piece that was claimed."""
    return Hold(piece.job_id, piece.number, piece.attempt)


def cut(session: Session, job_id: UUID, documents: Iterable[tuple[UUID, int]]) -> int:
    """Cut a job into pieces of some ``documents``, each with its length; return how many."""
    rows = [
        {"job_id": job_id, "number": number, "documents": [str(one) for one in piece]}
        for number, piece in enumerate(_cut(documents))
    ]
    if rows:
        session.execute(insert(Piece), rows)
    return len(rows)


def claim(
    session: Session,
    job_id: UUID,
    *,
    worker: str,
    lease_s: float,
    max_deaths: int,
    now: datetime,
) -> Piece | None:
    """Take the next piece of a running job that waits or whose lease ran out, if there is one.

    On the way, pieces at their last death, ``max_deaths`` of them, are failed: commit even after
    None.
    """
    _end_hopeless(session, job_id, max_deaths=max_deaths, now=now)
    wanted = select(Job.id).where(Job.id == job_id, *_WANTED).exists()
    choice = select(Piece.number).where(Piece.job_id == job_id, _free(now), wanted)
    number = locked(choice.order_by(Piece.number).limit(1), skip_locked=True).scalar_subquery()
    ran_out = case((Piece.status == PieceStatus.RUNNING, 1), else_=0)
    return session.scalars(
        update(Piece)
        .where(Piece.job_id == job_id, Piece.number == number)
        .values(
            status=PieceStatus.RUNNING,
            attempt=Piece.attempt + 1,
            deaths=Piece.deaths + ran_out,
            lease_until=now + timedelta(seconds=lease_s),
            worker=worker,
        )
        .returning(Piece)
        .execution_options(synchronize_session=False)
    ).one_or_none()


def held(session: Session, hold: Hold) -> tuple[Job, Piece]:
    """Return the job and the piece, both locked from now on.

    Raises LeaseLostError when another attempt has begun, or the job rests or has ended.
    """
    job = session.scalars(locked(select(Job).where(Job.id == hold.job_id))).one_or_none()
    query = select(Piece).where(Piece.job_id == hold.job_id, Piece.number == hold.number)
    piece = session.scalars(locked(query)).one_or_none()
    if (
        job is None
        or piece is None
        or job.status not in OPEN
        or piece.status != PieceStatus.RUNNING
        or piece.attempt != hold.attempt
    ):
        raise LeaseLostError(
            f"Attempt {hold.attempt} no longer holds piece {hold.number} of job {hold.job_id}."
        )
    return job, piece


def renew(session: Session, hold: Hold, *, lease_s: float, now: datetime) -> Job:
    """Renew the lease; the job says whether it is to stop or rest. Raises LeaseLostError."""
    job, piece = held(session, hold)
    piece.lease_until = now + timedelta(seconds=lease_s)
    session.flush()
    return job


def finish(session: Session, hold: Hold, *, counts: Mapping[str, int]) -> None:
    """End a piece well and forget the deaths of its job, which advances. Raises LeaseLostError."""
    job, piece = held(session, hold)
    job.deaths = 0
    piece.status, piece.lease_until, piece.counts = PieceStatus.DONE, None, dict(counts)
    session.flush()


def fail(session: Session, hold: Hold, *, error: str) -> None:
    """End a piece with the reason why nothing comes of it. Raises LeaseLostError."""
    _, piece = held(session, hold)
    piece.status, piece.lease_until, piece.error = PieceStatus.FAILED, None, storable(error)
    session.flush()


def give_back(session: Session, hold: Hold) -> None:
    """Let another worker take a piece at once. Raises LeaseLostError."""
    _, piece = held(session, hold)
    piece.status, piece.lease_until, piece.worker = PieceStatus.WAITING, None, None
    session.flush()


def take_back(session: Session, job_id: UUID) -> None:
    """Let go of all pieces that are worked on: their workers are refused from now on."""
    session.execute(
        update(Piece)
        .where(Piece.job_id == job_id, Piece.status == PieceStatus.RUNNING)
        .values(status=PieceStatus.WAITING, lease_until=None, worker=None)
    )


def open_pieces(session: Session, job_id: UUID) -> int:
    """Return how many pieces of a job have not ended."""
    still = Piece.status.in_((PieceStatus.WAITING, PieceStatus.RUNNING))
    query = select(func.count()).select_from(Piece).where(Piece.job_id == job_id, still)
    return session.scalars(query).one()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far the pieces of a job are."""

    by_status: Counter[PieceStatus]
    counts: Counter[str]  # of those that are done, summed
    error: str | None = None  # of the first that failed

    @property
    def open(self) -> int:
        """How many have not ended."""
        return self.by_status[PieceStatus.WAITING] + self.by_status[PieceStatus.RUNNING]


def standing(session: Session, job_id: UUID) -> Standing:
    """Return how far the pieces of a job are."""
    query = select(Piece.status, Piece.counts, Piece.error).where(Piece.job_id == job_id)
    by_status, counts, error = Counter[PieceStatus](), Counter[str](), None
    for status, counted, reason in session.execute(query.order_by(Piece.number)):
        by_status[status] += 1
        counts.update(counted or {})
        error = error or reason
    return Standing(by_status=by_status, counts=counts, error=error)


def job_to_help(session: Session, *, now: datetime) -> Job | None:
    """Return the most urgent running job that has a piece nobody works on, if there is one."""
    query = (
        select(Job)
        .where(Job.kind == JobKind.GENERATE, *_WANTED)
        .where(select(Piece).where(Piece.job_id == Job.id, _free(now)).exists())
    )
    return session.scalars(query.order_by(*TURN).limit(1)).one_or_none()


_WANTED = (Job.status == JobStatus.RUNNING, ~Job.cancel_requested, ~Job.pause_requested)


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(Piece.status == PieceStatus.WAITING, _lease_ran_out(now))


def _lease_ran_out(now: datetime) -> ColumnElement[bool]:
    return and_(Piece.status == PieceStatus.RUNNING, Piece.lease_until < now)


def _end_hopeless(session: Session, job_id: UUID, *, max_deaths: int, now: datetime) -> None:
    dead = and_(_lease_ran_out(now), Piece.deaths + 1 >= max_deaths)
    query = select(Piece).where(Piece.job_id == job_id, dead)
    for piece in session.scalars(locked(query, skip_locked=True)):
        piece.deaths += 1
        piece.status, piece.lease_until = PieceStatus.FAILED, None
        piece.error = f"Its workers died {piece.deaths} times."
    session.flush()


def _cut(documents: Iterable[tuple[UUID, int]]) -> Iterator[list[UUID]]:
    piece: list[UUID] = []
    characters = 0
    for document, length in documents:
        if piece and (characters + length > CHARACTERS or len(piece) == DOCUMENTS):
            yield piece
            piece, characters = [], 0
        piece.append(document)
        characters += length
    if piece:
        yield piece
