"""The training way: a claimed job row in, a checkpoint out; every write under the job's attempt."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from core.data.examples import Example, example_of
from core.errors import BundleError, InputError, NotFoundError
from core.pipelines.learn import Event, Finished, Saved, Stage, learn, said
from core.pipelines.lease import Lease
from core.pipelines.room import with_room
from core.pipelines.tidy import forget_blobs, forget_ended_snapshots
from core.pipelines.workshop import Attempt, Workshop, attempt, give_back, tidy
from core.specs import TrainJob, parse
from core.storage import aliases, checkpoints, corpora, jobs, pausing, snapshots
from core.storage.tables import EventKind, Job, Snapshot, Split
from core.training.events import Divided, Measured, Progress, Started, Validated
from core.training.state import check_format

log = structlog.get_logger()

Done = TypeVar("Done")


def train(job_id: UUID, number: int, workshop: Workshop) -> None:
    """Work on a job that was claimed as attempt ``number``, from its newest snapshot if it has one.

    Ends with the job succeeded, failed, cancelled or paused, or given back to the queue because
    the process is leaving or something stays down. Once the lease is lost nothing more is written.
    """
    lease = workshop.lease(job_id, number, Lease)
    attempt(lease, workshop, lambda this: _Training(this).run())


class _Training:
    """One attempt at one job: hears the events of learning and keeps what must be kept."""

    def __init__(self, this: Attempt) -> None:
        self.this = this
        self.lease, self.workshop, self.patience = this.lease, this.workshop, this.patience
        self.saved_at = time.monotonic()
        self.stage = ""
        job, self.snapshots = self.patience.through(self._found)
        self.corpus_id = _corpus_of(job)
        self.spec = parse(TrainJob, job.spec)

    def run(self) -> None:
        """Learn to the end, or until the job is to stop or rest or the process is leaving."""
        with_room(self._learn, self.workshop.scratch, self.patience)

    def _learn(self, scratch: Path) -> None:
        resume = self._begin()
        events = learn(
            self._examples, self.spec.plan, scratch=scratch, resume=resume, due=self._due
        )
        for event in events:
            self.lease.check()
            self._keep(event)
            if self.lease.cancelled and not isinstance(event, Finished):
                self._stop()
                return
            if self.lease.paused and isinstance(event, Saved | Stage):
                self._put_aside()
                return
            if self.workshop.leaving() and isinstance(event, Saved | Stage):
                give_back(self.lease, self.workshop, "the worker is leaving")
                return

    def _found(self) -> tuple[Job, list[Snapshot]]:
        """Return the job and where it can be taken up, once its corpus is seen to be there."""
        with self.workshop.sessions() as session:
            job = jobs.get(session, self.lease.job_id)
            corpora.whole(session, _corpus_of(job))
            return job, snapshots.of_job(session, job.id)

    def _begin(self) -> bytes | None:
        """Return the state to go on from, and forget what the curve told beyond that point."""
        state, start, step, lost = None, "starts at the beginning", 0, ""
        for snapshot in self.snapshots:
            try:
                state, step = self._state(snapshot.blob_key), snapshot.step
                start = f"goes on from the snapshot at step {step}"
                break
            except (NotFoundError, BundleError) as error:
                lost += f": the snapshot at step {snapshot.step} is lost ({error})"
        lease = self.lease
        forget = partial(jobs.forget_metrics_after, job_id=lease.job_id, attempt=lease.attempt)
        self.this.write(partial(forget, step=step))
        self.this.log({"message": f"attempt {lease.attempt} {start}{lost}"})
        return state

    def _state(self, key: str) -> bytes:
        state = self.patience.through(lambda: self.workshop.blobs.get(key))
        check_format(state)  # a newer version may have taken the job over
        return state

    def _due(self) -> bool:
        late = time.monotonic() - self.saved_at >= self.spec.plan.train.snapshot_every_s
        return late or self.lease.paused or self.workshop.leaving()

    def _examples(self, split: str) -> Iterator[Example]:
        after = 0
        while chunk := self.patience.through(partial(self._chunk, Split(split), after)):
            for _, content in chunk:
                yield example_of(content)
            after = chunk[-1][0]

    def _chunk(self, split: Split, after: int) -> list[tuple[int, dict[str, Any]]]:
        with self.workshop.sessions() as session:
            return corpora.chunk(session, self.corpus_id, split, after=after)

    def _keep(self, event: Event) -> None:
        match event:
            case Progress():
                self.lease.progress = {"stage": "train", **asdict(event)}
            case Measured() | Validated():
                self._measure(event)
            case Stage():
                self._enter(event)
            case Started() | Divided():
                self.this.log({"message": said(event)})
            case Saved():
                self._save(event)
            case Finished():
                self._finish(event)

    def _measure(self, event: Measured | Validated) -> None:
        data = asdict(event)
        step, again = data.pop("step"), False

        def tell(session: Session) -> None:
            nonlocal again  # a connection can break after the commit
            if not (again and jobs.has_measured(session, job_id, step=step, data=data)):
                again = True
                self.this.add(session, EventKind.METRICS, data, step=step)

        job_id = self.lease.job_id
        self.this.write(tell)

    def _enter(self, stage: Stage) -> None:
        self.lease.progress = {**self.lease.progress, "stage": stage.name, "detail": stage.detail}
        if stage.name != self.stage:
            self.stage = stage.name
            self.this.log({"stage": stage.name, "message": f"{stage.name}: {stage.detail}"})

    def _save(self, event: Saved) -> None:
        """Blob first, then the row under the attempt; older snapshots are thrown away."""
        key = self._put(event.data)
        old = self.this.write(
            partial(
                snapshots.put,
                job_id=self.lease.job_id,
                attempt=self.lease.attempt,
                step=event.step,
                blob_key=key,
                bytes_=len(event.data),
                now=self.workshop.now(),
                keep=self.spec.plan.train.keep_snapshots,
            )
        )
        tidy(partial(forget_blobs, self.workshop.sessions, self.workshop.blobs, old))
        self.saved_at = time.monotonic()

    def _finish(self, event: Finished) -> None:
        """Keep the bundle, and then all that tells of it at once."""
        key = self._put(event.data)
        self.this.write(partial(self._succeed, event=event, key=key))
        self._forget_snapshots()

    def _succeed(self, session: Session, *, event: Finished, key: str) -> None:
        """Checkpoint, alias and end state in one transaction: all of it happens, once, or none."""
        now = self.workshop.now()
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

    def _stop(self) -> None:
        self.this.write(self.this.ending(jobs.stop))
        self._forget_snapshots()

    def _put_aside(self) -> None:
        self.this.write(self.this.ending(pausing.put_aside))

    def _forget_snapshots(self) -> None:
        tidy(partial(forget_ended_snapshots, self.workshop.sessions, self.workshop.blobs))

    def _put(self, data: bytes) -> str:
        return self.patience.through(lambda: self.workshop.blobs.put(data))


def _corpus_of(job: Job) -> UUID:
    if job.corpus_id is None:
        raise InputError("The job has no corpus to learn from.", field="corpus")
    return job.corpus_id
