"""The training way: a claimed job row in, a checkpoint out; every write under the job's attempt."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session, sessionmaker

from core.data.examples import Example, example_of
from core.errors import (
    BundleError,
    LeaseLostError,
    MalgilError,
    NotFoundError,
    UnavailableError,
)
from core.pipelines.learn import Event, Finished, Saved, Stage, learn, said
from core.pipelines.lease import Lease
from core.pipelines.tidy import forget_blobs, forget_ended_snapshots
from core.specs import TrainJob, parse
from core.storage import aliases, checkpoints, corpora, jobs, snapshots
from core.storage.blobs import Blobs
from core.storage.tables import EventKind, Split
from core.training.events import Divided, Measured, Progress, Started, Validated
from core.training.state import check_format

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What a job is worked on with."""

    sessions: sessionmaker[Session]
    blobs: Blobs
    scratch: Path  # a directory of its own, thrown away afterwards
    lease_s: float
    now: Callable[[], datetime]
    leaving: Callable[[], bool]  # whether the process should end: snapshot, give back, go
    outage_s: float = 2.0  # how long an outage of the blob store is waited out


def train(job_id: UUID, attempt: int, workshop: Workshop) -> None:
    """Work on a job that was claimed as ``attempt``, from its newest snapshot if it has one.

    Ends with the job succeeded, failed or cancelled, or given back to the queue because the
    process is leaving. Once the lease is lost nothing more is written.
    """
    lease = Lease(
        sessions=workshop.sessions,
        job_id=job_id,
        attempt=attempt,
        lease_s=workshop.lease_s,
        now=workshop.now,
    )
    with lease:
        try:
            _Training(lease, workshop).run()
        except LeaseLostError as error:
            log.warning("stopped without writing", reason=str(error))
        except UnavailableError as error:  # not the job's fault: another attempt can help
            time.sleep(workshop.outage_s)
            _give_back(lease, workshop, str(error))
        except MalgilError as error:
            _fail(lease, workshop, str(error))


def _give_back(lease: Lease, workshop: Workshop, reason: str) -> None:
    """Let another worker go on from the last snapshot; it does not count as a death."""
    with workshop.sessions.begin() as session:
        jobs.give_back(
            session, lease.job_id, attempt=lease.attempt, reason=reason, now=workshop.now()
        )


def _fail(lease: Lease, workshop: Workshop, reason: str) -> None:
    """End the job as failed; its training state is of no more use."""
    with workshop.sessions.begin() as session:
        jobs.fail(session, lease.job_id, attempt=lease.attempt, error=reason, now=workshop.now())
    forget_ended_snapshots(workshop.sessions, workshop.blobs)


class _Training:
    """One attempt at one job: hears the events of learning and keeps what must be kept."""

    def __init__(self, lease: Lease, workshop: Workshop) -> None:
        self.lease = lease
        self.workshop = workshop
        self.saved_at = time.monotonic()
        self.stage = ""
        with workshop.sessions() as session:
            job = jobs.get(session, lease.job_id)
            self.corpus_id = job.corpus_id
            self.spec = parse(TrainJob, job.spec)
            self.snapshot = snapshots.of_job(session, lease.job_id)

    def run(self) -> None:
        """Learn to the end, or until the job is cancelled or the process is leaving."""
        resume = self._begin()
        events = learn(
            self._examples,
            self.spec.plan,
            scratch=self.workshop.scratch,
            resume=resume,
            due=self._due,
        )
        for event in events:
            self.lease.check()
            self._keep(event)
            if self.lease.cancelled and not isinstance(event, Finished):
                self._stop()
                return
            if self.workshop.leaving() and isinstance(event, Saved | Stage):
                _give_back(self.lease, self.workshop, "the worker is leaving")
                return

    def _begin(self) -> bytes | None:
        """Return the state to go on from, and forget what the curve told beyond that point."""
        state, start, step = None, "starts at the beginning", 0
        if self.snapshot is not None:
            try:
                found = self.workshop.blobs.get(self.snapshot.blob_key)
                check_format(found)  # a newer version may have taken the job over
                state, step = found, self.snapshot.step
                start = f"goes on from the snapshot at step {step}"
            except (NotFoundError, BundleError) as error:
                start += f": the snapshot at step {self.snapshot.step} is lost ({error})"
        attempt = self.lease.attempt
        with self.workshop.sessions.begin() as session:
            jobs.forget_metrics_after(session, self.lease.job_id, attempt=attempt, step=step)
            self._add(session, EventKind.LOG, {"message": f"attempt {attempt} {start}"})
        return state

    def _due(self) -> bool:
        late = time.monotonic() - self.saved_at >= self.spec.plan.train.snapshot_every_s
        return late or self.workshop.leaving()

    def _examples(self, split: str) -> Iterator[Example]:
        with self.workshop.sessions() as session:
            for content in corpora.stream(session, self.corpus_id, Split(split)):
                yield example_of(content)

    def _keep(self, event: Event) -> None:
        match event:
            case Progress():
                self.lease.progress = {"stage": "train", **asdict(event)}
            case Measured() | Validated():
                self._measure(event)
            case Stage():
                self._enter(event)
            case Started() | Divided():
                self._log(said(event))
            case Saved():
                self._save(event)
            case Finished():
                self._finish(event)

    def _measure(self, event: Measured | Validated) -> None:
        data = asdict(event)
        step = data.pop("step")
        with self.workshop.sessions.begin() as session:
            self._add(session, EventKind.METRICS, data, step=step)

    def _enter(self, stage: Stage) -> None:
        self.lease.progress = {**self.lease.progress, "stage": stage.name, "detail": stage.detail}
        if stage.name != self.stage:
            self.stage = stage.name
            with self.workshop.sessions.begin() as session:
                data = {"stage": stage.name, "message": f"{stage.name}: {stage.detail}"}
                self._add(session, EventKind.LOG, data)

    def _log(self, message: str) -> None:
        with self.workshop.sessions.begin() as session:
            self._add(session, EventKind.LOG, {"message": message})

    def _save(self, event: Saved) -> None:
        """Blob first, then the row under the attempt; the snapshot before it is thrown away."""
        key = self.workshop.blobs.put(event.data)
        with self.workshop.sessions.begin() as session:
            before = snapshots.put(
                session,
                self.lease.job_id,
                attempt=self.lease.attempt,
                step=event.step,
                blob_key=key,
                bytes_=len(event.data),
                now=self.workshop.now(),
            )
        if before is not None:
            forget_blobs(self.workshop.sessions, self.workshop.blobs, [before])
        self.saved_at = time.monotonic()

    def _finish(self, event: Finished) -> None:
        """Checkpoint, alias and end state in one transaction: all of it happens, once, or none."""
        now = self.workshop.now()
        key = self.workshop.blobs.put(event.data)
        with self.workshop.sessions.begin() as session:
            self.lease.tell(session)
            checkpoint = checkpoints.add(
                session,
                job_id=self.lease.job_id,
                step=event.step,
                spec=self.spec.plan.model_dump(mode="json"),
                metrics=event.metrics,
                report=event.report,
                blob_key=key,
                bytes_=len(event.data),
                now=now,
            )
            if self.spec.promote_to is not None:
                aliases.promote(session, self.spec.promote_to, checkpoint.id, now=now)
            jobs.succeed(session, self.lease.job_id, attempt=self.lease.attempt, now=now)
        forget_ended_snapshots(self.workshop.sessions, self.workshop.blobs)

    def _stop(self) -> None:
        with self.workshop.sessions.begin() as session:
            jobs.stop(
                session, self.lease.job_id, attempt=self.lease.attempt, now=self.workshop.now()
            )
        forget_ended_snapshots(self.workshop.sessions, self.workshop.blobs)

    def _add(
        self, session: Session, kind: EventKind, data: dict[str, Any], step: int | None = None
    ) -> None:
        jobs.add_event(
            session,
            self.lease.job_id,
            attempt=self.lease.attempt,
            kind=kind,
            step=step,
            data=data,
            now=self.workshop.now(),
        )
