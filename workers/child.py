"""One process for one job: ``python -m workers.child [--ready] JOB ATTEMPT SCRATCH``.

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
    lease = Lease(
        sessions=runtime.sessions(),
        job_id=UUID(job_id),
        attempt=int(attempt),
        lease_s=runtime.settings().lease_s,
        now=runtime.now,
    )
    lease.progress = {"stage": "start"}
    with lease:  # torch takes seconds to load: people see meanwhile that somebody is at it
        use_threads(runtime.settings().threads)
        from core.pipelines.train import Workshop, train

    workshop = Workshop(
        sessions=runtime.sessions(),
        blobs=runtime.blobs(),
        scratch=Path(scratch),
        lease_s=runtime.settings().lease_s,
        now=runtime.now,
        leaving=lambda: leaving.is_set() or os.getppid() != parent,
    )
    train(UUID(job_id), int(attempt), workshop)


def _told_to_go() -> bool:
    """Load what takes seconds; return whether the job has become ours meanwhile, or does then."""
    use_threads(runtime.settings().threads)
    import core.pipelines.train  # noqa: F401 (to be there when it is needed)

    return sys.stdin.buffer.readline() == GO


if __name__ == "__main__":
    words = sys.argv[1:]
    main(*[word for word in words if word != READY], waits=READY in words)
