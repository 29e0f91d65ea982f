"""Holding a job while it is worked on."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from core.errors import LeaseLostError
from core.storage import jobs

log = structlog.get_logger()

RENEW_S = 1.0  # at the latest; also how old the progress that people see can be


def renewal_s(lease_s: float) -> float:
    """Return how often a lease of ``lease_s`` is renewed."""
    return min(RENEW_S, lease_s / 4)


class Lease:
    """Renews the lease of one attempt from a thread, carries progress, listens for wishes.

    A context manager: the thread lives inside it. ``lost``, ``cancelled`` and ``paused`` are read
    between two pieces of work; ``progress`` is replaced by whoever works, and told with the
    seconds that the lease is held (``held_s``), so that it shows life even while nothing else in
    it changes.
    """

    def __init__(
        self,
        *,
        sessions: sessionmaker[Session],
        job_id: UUID,
        attempt: int,
        lease_s: float,
        now: Callable[[], datetime],
    ) -> None:
        self.job_id = job_id
        self.attempt = attempt
        self.progress: dict[str, Any] = {}
        self.lost = False
        self.cancelled = False
        self.paused = False
        self._sessions = sessions
        self._lease_s = lease_s
        self._now = now
        self._began = now()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raise LeaseLostError if another worker has the job by now."""
        if self.lost:
            raise LeaseLostError(f"attempt {self.attempt} no longer holds job {self.job_id}")

    def tell(self, session: Session) -> None:
        """Renew the lease, write the progress, hear what is wished; raises LeaseLostError."""
        now = self._now()
        held_s = round((now - self._began).total_seconds(), 1)
        job = jobs.hold(
            session,
            self.job_id,
            attempt=self.attempt,
            lease_s=self._lease_s,
            now=now,
            progress={**self.progress, "held_s": held_s},
        )
        self.cancelled, self.paused = job.cancel_requested, job.pause_requested

    def _keep(self) -> None:
        pause_s = 0.0  # that work has begun is told at once
        while not self._over.wait(pause_s):
            pause_s = renewal_s(self._lease_s)
            try:
                with self._sessions.begin() as session:
                    self.tell(session)
            except LeaseLostError:
                self.lost = True
                return
            except SQLAlchemyError as error:  # an outage is waited out; the next turn tries again
                log.warning("the lease could not be renewed", error=str(error))
