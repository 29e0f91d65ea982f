"""The job worker: claims what is next, has a child process of its own do it, watches over it.

This process never imports torch. The child holds the lease; if it dies, the job goes back to
the queue at once with the reason, and its next attempt goes on from the last snapshot.
"""

import threading
import time
from datetime import timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import structlog
from celery.signals import worker_ready, worker_shutting_down

from core.errors import LeaseLostError, UnavailableError
from core.pipelines.lease import renewal_s
from core.pipelines.room import demand
from core.pipelines.tidy import forget_ended_snapshots, forget_unused_blobs
from core.queue.broker import ALIVE_S
from core.queue.messages import INBOX, JOBS_QUEUE, RUN_JOB, SWEEP, SWEEP_QUEUE, alive_key
from core.storage import corpora, idempotency, jobs, silence
from core.storage.tables import Job
from workers import runtime
from workers.app import app
from workers.children import Child

log = structlog.get_logger()

RINGS_AT_ONCE = 4
SCRATCH_BYTES = 16 << 20  # that must be free before a job is begun
WATCH_S = 0.1
AGAIN_S = 5.0  # before the next job, where one could not be begun
STAND_BY_S = 0.25  # how often a job whose worker is silent is looked at
SILENT = 2.5  # times that a holder could have renewed its lease: after that a child is made ready
FORGET_HALVES_AFTER = timedelta(hours=1)
FORGET_BLOBS_AFTER = timedelta(days=1)  # that no row needs
LOOK_FOR_BLOBS_S = 3600
SWEPT = "malgil:swept"  # there for a part of the time between two sweeps
LOOKED = "malgil:looked-for-blobs"  # there for that long after somebody has

_leaving = threading.Event()
_waiting_for_room = threading.Event()
_busy = threading.Lock()  # one job at a time in one worker


@app.task(name=RUN_JOB, ignore_result=True)
def run() -> None:
    """Work on jobs, the most urgent first, until none is left; hearing this twice is safe."""
    if not _busy.acquire(blocking=False):
        return
    ready: Child | None = None
    try:
        while not _leaving.is_set() and _has_room():
            if (job := _claim()) is not None:
                _work(job, ready)
                ready = None
            elif (silent := _silent()) is None:
                return
            else:  # torch is loaded while the lease runs out
                ready = ready or Child(silent.id, silent.attempt + 1, waits=True)
                time.sleep(STAND_BY_S)
    finally:
        if ready is not None:
            ready.close()
        _busy.release()


@app.task(name=SWEEP, ignore_result=True)
def sweep() -> None:
    """Ring again for what was left lying: jobs never rung for or abandoned, asks unanswered.

    Of sweeps that have piled up while nobody heard them, one is enough.
    """
    if not runtime.redis().set(SWEPT, 1, nx=True, px=int(runtime.settings().sweep_s * 500)):
        return
    with runtime.sessions().begin() as session:
        waiting = jobs.waiting(session, now=runtime.now())
        corpora.forget_unfinished(session, before=runtime.now() - FORGET_HALVES_AFTER)
        idempotency.forget(session, now=runtime.now())
    forget_ended_snapshots(runtime.sessions(), runtime.blobs())
    waiting = waiting or int(_silent() is not None)
    for _ in range(min(waiting, RINGS_AT_ONCE)):
        runtime.doorbell().ring_jobs()
    alive_s = int(max(ALIVE_S, 4 * runtime.settings().sweep_s))
    runtime.redis().set(alive_key(SWEEP_QUEUE), runtime.worker_name(), ex=alive_s)
    if runtime.redis().xlen(INBOX):
        runtime.doorbell().ring_inbox()
    if runtime.redis().set(LOOKED, 1, nx=True, ex=LOOK_FOR_BLOBS_S):
        before = runtime.now() - FORGET_BLOBS_AFTER
        count = forget_unused_blobs(runtime.sessions(), runtime.blobs(), before=before)
        log.info("looked for blobs that nobody needs", deleted=count)


def _has_room() -> bool:
    """Whether a child would find room to work in; where there is none, jobs wait in the queue."""
    scratch = Path(gettempdir())
    try:
        demand(scratch, SCRATCH_BYTES)
    except UnavailableError as error:
        if not _waiting_for_room.is_set():  # a log must not grow where a disk is full
            log.warning("jobs wait", reason=str(error))
        _waiting_for_room.set()
        return False
    _waiting_for_room.clear()
    return True


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


def _silent() -> Job | None:
    """Return a job whose holder has missed to renew its lease: soon it may be ours."""
    lease_s = runtime.settings().lease_s
    left_s = lease_s - SILENT * renewal_s(lease_s)
    with runtime.sessions()() as session:
        return silence.silent(session, until=runtime.now() + timedelta(seconds=left_s))


def _work(job: Job, ready: Child | None) -> None:
    """Have a child work on ``job``, the one that is ready if it is for this attempt.

    When this worker is told to leave, so is the child.
    """
    if ready is not None and not ready.is_for(job):
        ready.close()
        ready = None
    try:
        child = ready or Child(job.id, job.attempt)
    except OSError as error:
        _give_back(job, f"no process can be started for it: {error}")
        return
    try:
        child.go()
        log.info("a child works on a job", job=str(job.id), attempt=job.attempt, pid=child.pid)
        told = False
        while (ended := child.poll()) is None:
            if _leaving.is_set() and not told:
                child.terminate()
                told = True
            time.sleep(WATCH_S)
        if ended != 0:
            _bury(job, ended, child.tail())
        elif said := child.tail():
            log.info("what a child said", job=str(job.id), attempt=job.attempt, said=said)
    finally:
        child.close()


def _give_back(job: Job, reason: str) -> None:
    """Let go of a job that was not begun, and give what is wrong here time to pass."""
    log.warning("a job is given back", job=str(job.id), attempt=job.attempt, reason=reason)
    with runtime.sessions().begin() as session:
        jobs.give_back(session, job.id, attempt=job.attempt, reason=reason, now=runtime.now())
    _leaving.wait(AGAIN_S)


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


@worker_ready.connect
def _tidy_up(sender: Any, **_: Any) -> None:
    """Delete what writers that were killed left half written."""
    if JOBS_QUEUE in {queue.name for queue in sender.task_consumer.queues}:
        runtime.blobs().forget_leftovers(before=runtime.now() - FORGET_HALVES_AFTER)


@worker_shutting_down.connect
def _leave(**_: Any) -> None:
    _leaving.set()
