"""The way of questions: a claimed job's pieces in, pairs out, every write under an attempt.

One worker has the job, works on its pieces and ends it; others that are free help with pieces
while it runs. Whoever dies, a piece is done once: its pairs and its end are one transaction.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from core.data.neighbours import Neighbours
from core.pipelines.lease import Lease
from core.pipelines.pairs import each
from core.pipelines.patience import DOWN, reason_of
from core.pipelines.piecework import PARTS, Asker, claim, work_on
from core.pipelines.workshop import Attempt, Workshop, attempt, give_back
from core.storage import jobs, pairs, pausing, pieces
from core.storage.attempts import held
from core.storage.pairs import PairFilter
from core.storage.pieces import Standing
from core.storage.tables import EventKind, PieceStatus

log = structlog.get_logger()

LOOK_S = 0.25  # how often the end of pieces is looked for that others work on


def generate(job_id: UUID, number: int, workshop: Workshop) -> None:
    """Work on a job that was claimed as attempt ``number``, and end it once all pieces have ended.

    Ends with the job succeeded, failed, cancelled or paused, or given back to the queue because
    the process is leaving or something stays down. Once the lease is lost nothing more is written.
    """
    lease = workshop.lease(job_id, number, _JobLease)
    attempt(lease, workshop, lambda this: _Generating(this).run())


def help_with(job_id: UUID, workshop: Workshop) -> None:
    """Work on pieces of a job that another worker has, until none is free or a job waits."""
    asker: Asker | None = None
    while not workshop.leaving():
        with workshop.sessions.begin() as session:
            busy = jobs.waiting(session, now=workshop.now()) > 0
            piece = None if busy else claim(session, job_id, workshop)
        if piece is None:
            return
        asker = asker or Asker(job_id, workshop)
        try:
            work_on(piece, asker, workshop)
        except DOWN as error:
            log.warning("a piece is left to others", reason=reason_of(error))
            return


class _JobLease(Lease):
    """The lease of a job whose progress is that of its pieces, whoever works on them."""

    _before: tuple[int, float] | None = None  # pairs there were, and when

    def tell(self, session: Session) -> None:
        """Look how far the pieces are, and tell that."""
        told = _progress(pieces.standing(session, self.job_id))
        before, began = self._before = self._before or (told["pairs"], time.monotonic())
        spent = time.monotonic() - began
        told["elapsed_s"] = round(spent, 1)
        told["pairs_per_s"] = round((told["pairs"] - before) / spent, 1) if spent else 0.0
        self.progress = {**self.progress, **told}
        super().tell(session)


class _Generating:
    """One attempt at one job: works on its pieces beside others, and ends it."""

    def __init__(self, this: Attempt) -> None:
        self.this = this
        self.lease, self.workshop = this.lease, this.workshop
        self.asker = this.patience.through(lambda: Asker(self.lease.job_id, self.workshop))

    def run(self) -> None:
        """Work until all pieces have ended, or the job is to stop or rest or we are leaving."""
        job_id = self.lease.job_id
        self.lease.progress = {"stage": "generate"}
        while not self._leave():
            piece = self.this.write(partial(claim, job_id=job_id, workshop=self.workshop))
            if piece is not None:
                work_on(piece, self.asker, self.workshop)
            elif self.this.write(partial(pieces.open_pieces, job_id=job_id)):
                time.sleep(LOOK_S)
            else:
                self._drop_alike()
                self.this.write(self._end)
                return

    def _leave(self) -> bool:
        """Stop, rest or give back, if that is wished; return whether it was."""
        self.lease.check()
        if self.lease.cancelled:
            self.this.write(partial(self._let_go, self.this.ending(jobs.stop)))
        elif self.lease.paused:
            self.this.write(partial(self._let_go, self.this.ending(pausing.put_aside)))
        elif self.workshop.leaving():
            give_back(self.lease, self.workshop, "the worker is leaving")
        else:
            return False
        return True

    def _let_go(self, end: Callable[[Session], None], session: Session) -> None:
        """End or rest, and take from others what they still work on."""
        end(session)
        pieces.take_back(session, self.lease.job_id)

    def _drop_alike(self) -> None:
        """Of questions alike in several documents keep the first, and those that were reviewed."""
        known: Neighbours[UUID] = Neighbours()
        alike = []
        job_id, least = self.lease.job_id, self.asker.spec.options.alike
        for pair in each(self.workshop.sessions, PairFilter(job_id=job_id)):
            self.lease.check()
            if known.nearest(pair.question, least=least) is None:
                known.add(pair.id, pair.question)
            else:
                alike.append(pair.id)
        self.this.write(partial(self._drop, alike))

    def _drop(self, ids: Sequence[UUID], session: Session) -> None:
        held(session, self.lease.job_id, self.lease.attempt)
        pairs.drop_new(session, ids)

    def _end(self, session: Session) -> None:
        """Tell what came of all pieces, and end the job in the same moment."""
        self.lease.tell(session)
        job_id = self.lease.job_id
        standing = pieces.standing(session, job_id)
        kept = sum(pairs.counts(session, PairFilter(job_id=job_id)).values())
        self.this.add(session, EventKind.LOG, {"message": summary(standing, kept)})
        failed = standing.by_status[PieceStatus.FAILED]
        if failed:
            error = f"{failed} of {standing.by_status.total()} pieces failed: {standing.error}"
            self.this.ending(partial(jobs.fail, error=error))(session)
        else:
            self.this.ending(jobs.succeed)(session)


def _progress(standing: Standing) -> dict[str, Any]:
    return {
        "step": standing.by_status[PieceStatus.DONE] + standing.by_status[PieceStatus.FAILED],
        "total_steps": standing.by_status.total(),
        **{name: standing.counts[name] for name in ("documents", "passages", "asked", "pairs")},
    }


def summary(standing: Standing, kept: int) -> str:
    """Say what came of a job of which so many pairs are ``kept``."""
    counts = standing.counts + Counter({"dropped: alike": standing.counts["pairs"] - kept})
    dropped = {
        name.removeprefix("dropped: "): count
        for name, count in counts.most_common()
        if name.startswith("dropped: ")
    }
    why = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
    told = (
        f"{counts['documents']} documents, {counts['passages']} passages, {counts['asked']} "
        f"questions asked, {kept} kept"
    )
    return "; ".join([told, *([f"dropped: {why}"] if why else []), *_shares(counts)])


def _shares(counts: Counter[str]) -> Iterator[str]:
    """Say what the time of all pieces went to, if there was any."""
    spent = {name: counts[f"{name}_ms"] for name in PARTS}
    if total := sum(spent.values()):
        yield "time: " + ", ".join(f"{name} {took / total:.1%}" for name, took in spent.items())
