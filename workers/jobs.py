"""The job worker: claims what is next, has a child process of its own do it, watches over it.

This process never imports torch. The child holds the lease; if it dies, the job goes back to
the queue at once with the reason, and its next attempt goes on from the last snapshot.
"""

import subprocess
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from celery.signals import worker_ready, worker_shutting_down

from core.errors import LeaseLostError
from core.pipelines.tidy import forget_ended_snapshots, forget_unused_blobs
from core.queue.messages import INBOX, JOBS_QUEUE, RUN_JOB, SWEEP
from core.storage import corpora, idempotency, jobs
from core.storage.tables import Job
from workers import runtime
from workers.app import app

log = structlog.get_logger()

TAIL_BYTES = 2000  # of a dead child's last words
RINGS_AT_ONCE = 4
WATCH_S = 0.1
FORGET_HALVES_AFTER = timedelta(hours=1)
FORGET_BLOBS_AFTER = timedelta(days=1)  # that no row needs
LOOK_FOR_BLOBS_S = 3600
LOOKED = "malgil:looked-for-blobs"  # there for that long after somebody has

_leaving = threading.Event()
_busy = threading.Lock()  # one job at a time in one worker


@app.task(name=RUN_JOB, ignore_result=True)
def run() -> None:
    """Work on jobs, the most urgent first, until none is left; hearing this twice is safe."""
    if not _busy.acquire(blocking=False):
        return
    try:
        while not _leaving.is_set() and (job := _claim()) is not None:
            _work(job)
    finally:
        _busy.release()


@app.task(name=SWEEP, ignore_result=True)
def sweep() -> None:
    """Ring again for what was left lying: jobs never rung for or abandoned, asks unanswered."""
    with runtime.sessions().begin() as session:
        waiting = jobs.waiting(session, now=runtime.now())
        corpora.forget_unfinished(session, before=runtime.now() - FORGET_HALVES_AFTER)
        idempotency.forget(session, now=runtime.now())
    forget_ended_snapshots(runtime.sessions(), runtime.blobs())
    for _ in range(min(waiting, RINGS_AT_ONCE)):
        runtime.doorbell().ring_jobs()
    if runtime.redis().xlen(INBOX):
        runtime.doorbell().ring_inbox()
    if runtime.redis().set(LOOKED, 1, nx=True, ex=LOOK_FOR_BLOBS_S):
        before = runtime.now() - FORGET_BLOBS_AFTER
        count = forget_unused_blobs(runtime.sessions(), runtime.blobs(), before=before)
        log.info("looked for blobs that nobody needs", deleted=count)


def _claim() -> Job | None:
    settings = runtime.settings()
    with runtime.sessions().begin() as session:
        return jobs.claim_next(
            session,
            worker=runtime.worker_name(),
            lease_s=settings.lease_s,
            max_deaths=settings.max_deaths,
            now=runtime.now(),
        )


def _work(job: Job) -> None:
    """Have a child work on ``job``; when this worker is told to leave, so is the child."""
    with tempfile.TemporaryDirectory(prefix="malgil-job-") as scratch:
        words = Path(scratch) / "child.log"
        command = [sys.executable, "-m", "workers.child", str(job.id), str(job.attempt), scratch]
        with words.open("wb") as out:
            child = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)  # noqa: S603 (our own module)
        log.info("a child works on a job", job=str(job.id), attempt=job.attempt, pid=child.pid)
        told = False
        while child.poll() is None:
            if _leaving.is_set() and not told:
                child.terminate()
                told = True
            time.sleep(WATCH_S)
        if child.returncode != 0:
            _bury(job, child.returncode, _tail(words))


def _bury(job: Job, returncode: int, last_words: str) -> None:
    """Report the death of a child, with its last words; a late report is refused and dropped."""
    how = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
    log.warning("a child died", job=str(job.id), attempt=job.attempt, how=how)
    try:
        with runtime.sessions().begin() as session:
            jobs.report_death(
                session,
                job.id,
                attempt=job.attempt,
                max_deaths=runtime.settings().max_deaths,
                reason=f"attempt {job.attempt} died by {how}\n{last_words}".strip(),
                now=runtime.now(),
            )
    except LeaseLostError as error:
        log.info("the dead child's job had ended already", reason=str(error))


def _tail(path: Path) -> str:
    return path.read_bytes()[-TAIL_BYTES:].decode(errors="replace")


@worker_ready.connect
def _tidy_up(sender: Any, **_: Any) -> None:
    """Delete what writers that were killed left half written."""
    if JOBS_QUEUE in {queue.name for queue in sender.task_consumer.queues}:
        runtime.blobs().forget_leftovers(before=runtime.now() - FORGET_HALVES_AFTER)


@worker_shutting_down.connect
def _leave(**_: Any) -> None:
    _leaving.set()
