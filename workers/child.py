"""One process for one job: ``python -m workers.child [--ready] JOB ATTEMPT SCRATCH``.

With attempt 0 it helps whoever has the job, for as long as there are pieces that nobody works on.

Memory that training took goes back to the system with the process, and whatever kills it kills
nothing else. It leaves when told to (SIGTERM) or when the worker that started it is gone. With
``--ready`` it loads torch, and begins when ``go`` comes in; where nothing comes, it leaves.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from uuid import UUID

import structlog

from core.logs import log_as_json
from core.pipelines.lease import Lease
from core.pipelines.threads import use_threads
from core.pipelines.workshop import Workshop
from core.storage import jobs
from core.storage.tables import JobKind
from workers import runtime

READY = "--ready"
GO = b"go\n"


def main(job_id: str, attempt: str, scratch: str, *, waits: bool = False) -> None:
    """Work on the job until it ends or the process should leave."""
    log_as_json(runtime.settings().log_level)
    structlog.contextvars.bind_contextvars(job=job_id, attempt=int(attempt))
    leaving = threading.Event()
    parent = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: leaving.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker decides, and tells us by SIGTERM
    if waits and not _told_to_go():
        return
    workshop = Workshop(
        sessions=runtime.sessions(),
        blobs=runtime.blobs(),
        scratch=Path(scratch),
        lease_s=runtime.settings().lease_s,
        now=runtime.now,
        leaving=lambda: leaving.is_set() or os.getppid() != parent,
        worker=runtime.worker_name(),
        max_deaths=runtime.settings().max_deaths,
    )
    if int(attempt):
        _work(UUID(job_id), int(attempt), workshop)
    else:
        _help(UUID(job_id), workshop)


def _work(job_id: UUID, attempt: int, workshop: Workshop) -> None:
    lease = workshop.lease(job_id, attempt, Lease)
    lease.progress = {"stage": "start"}
    with lease:  # torch takes seconds to load: people see meanwhile that somebody is at it
        use_threads(runtime.settings().threads)
        from core.pipelines.generate import generate
        from core.pipelines.train import train

        with workshop.sessions() as session:
            kind = jobs.get(session, job_id).kind
        if kind is JobKind.GENERATE:
            use_threads(runtime.settings().inference_threads)
    work = {JobKind.TRAIN: train, JobKind.GENERATE: generate}[kind]
    work(job_id, attempt, workshop)


def _help(job_id: UUID, workshop: Workshop) -> None:
    use_threads(runtime.settings().inference_threads)
    from core.pipelines.generate import help_with

    help_with(job_id, workshop)


def _told_to_go() -> bool:
    """Load what takes seconds; return whether the job has become ours meanwhile, or does then."""
    use_threads(runtime.settings().threads)
    import core.pipelines.generate
    import core.pipelines.train  # noqa: F401 (to be there when it is needed)

    return sys.stdin.buffer.readline() == GO


if __name__ == "__main__":
    words = sys.argv[1:]
    main(*[word for word in words if word != READY], waits=READY in words)
