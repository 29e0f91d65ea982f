"""What jobs are worked on with, and how an attempt at one ends when it cannot go on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.orm import Session, sessionmaker

from core.errors import LeaseLostError, MalgilError
from core.pipelines.lease import Lease
from core.pipelines.patience import DOWN, Patience, reason_of
from core.pipelines.tidy import forget_ended_snapshots
from core.storage import jobs
from core.storage.blobs import Blobs
from core.storage.tables import EventKind

log = structlog.get_logger()

Done = TypeVar("Done")
LeaseT = TypeVar("LeaseT", bound=Lease)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What a job is worked on with."""

    sessions: sessionmaker[Session]
    blobs: Blobs
    scratch: Path  # a directory of its own, thrown away afterwards
    lease_s: float
    now: Callable[[], datetime]
    leaving: Callable[[], bool]  # whether the process should end: save, give back, go
    outage_s: float = 300.0  # how long database or blob store may be down before we give back
    worker: str = ""  # whose it is
    max_deaths: int = 3  # of the workers of one piece of a job

    def lease(self, job_id: UUID, attempt: int, kind: Callable[..., LeaseT]) -> LeaseT:
        """Return what holds a job, of some ``kind``, for an attempt that was claimed."""
        return kind(
            sessions=self.sessions,
            job_id=job_id,
            attempt=attempt,
            lease_s=self.lease_s,
            now=self.now,
        )


class Attempt:
    """One attempt at a job: what it writes, it writes when the database is there."""

    def __init__(self, lease: Lease, workshop: Workshop) -> None:
        self.lease = lease
        self.workshop = workshop
        self.patience = Patience(
            lease, limit_s=workshop.outage_s, leaving=workshop.leaving, tell=self._warn
        )

    def write(self, work: Callable[[Session], Done]) -> Done:
        """Do ``work`` in a transaction of its own."""

        def transaction() -> Done:
            with self.workshop.sessions.begin() as session:
                return work(session)

        return self.patience.through(transaction)

    def log(self, data: dict[str, Any]) -> None:
        """Tell the readers of the job something."""
        self.write(partial(self.add, kind=EventKind.LOG, data=data))

    def add(
        self, session: Session, kind: EventKind, data: dict[str, Any], step: int | None = None
    ) -> None:
        """Write down an event of the job in ``session``."""
        jobs.add_event(
            session,
            self.lease.job_id,
            attempt=self.lease.attempt,
            kind=kind,
            step=step,
            data=data,
            now=self.workshop.now(),
        )

    def ending(self, end: Callable[..., None]) -> Callable[[Session], None]:
        """Return what ends the job, or lets it rest, when it is given a session."""
        now = self.workshop.now()
        return partial(end, job_id=self.lease.job_id, attempt=self.lease.attempt, now=now)

    def _warn(self, message: str) -> None:
        """Tell of an outage; the one word that is not waited for."""
        with self.workshop.sessions.begin() as session:
            self.add(session, EventKind.LOG, {"level": "warn", "message": message})


def attempt(lease: Lease, workshop: Workshop, work: Callable[[Attempt], None]) -> None:
    """Do ``work`` while the lease is held.

    What no retry can help with fails the job; what stays down gives it back to the queue. Once the
    lease is lost nothing more is written.
    """
    with lease:
        try:
            _end_well(lease, workshop, work)
        except LeaseLostError as error:
            log.warning("stopped without writing", reason=str(error))


def _end_well(lease: Lease, workshop: Workshop, work: Callable[[Attempt], None]) -> None:
    try:
        work(Attempt(lease, workshop))
    except DOWN as error:  # not the job's fault: another attempt can help
        give_back(lease, workshop, reason_of(error))
    except LeaseLostError:
        raise
    except MalgilError as error:
        _fail(lease, workshop, str(error))


def give_back(lease: Lease, workshop: Workshop, reason: str) -> None:
    """Let another worker go on where this one stopped; it does not count as a death."""
    with workshop.sessions.begin() as session:
        jobs.give_back(
            session, lease.job_id, attempt=lease.attempt, reason=reason, now=workshop.now()
        )


def tidy(forget: Callable[[], None]) -> None:
    """Throw away what is of no more use; what cannot be reached now is left to the sweep."""
    try:
        forget()
    except DOWN as error:
        log.warning("something is left to the sweep", reason=reason_of(error))


def _fail(lease: Lease, workshop: Workshop, reason: str) -> None:
    """End the job as failed; its training state is of no more use."""
    with workshop.sessions.begin() as session:
        jobs.fail(session, lease.job_id, attempt=lease.attempt, error=reason, now=workshop.now())
    tidy(partial(forget_ended_snapshots, workshop.sessions, workshop.blobs))
