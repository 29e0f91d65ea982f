"""A process that claims and ends jobs: told to start, and to stop when none is left, by lines."""

import sys
from datetime import UTC, datetime
from threading import Event, Thread

from core.storage import jobs
from core.storage.session import open_engine, open_sessions
from core.storage.tables import EventKind
from tests.core.storage.rows import LEASE_S, MAX_DEATHS


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(database_url: str, worker: str) -> None:
    sessions = open_sessions(open_engine(database_url))
    say("ready")
    sys.stdin.readline()
    enough = Event()
    Thread(target=lambda: (sys.stdin.readline(), enough.set()), daemon=True).start()
    while True:
        last = enough.is_set()
        now = datetime.now(UTC)
        with sessions.begin() as session:
            job = jobs.claim_next(
                session, worker=worker, lease_s=LEASE_S, max_deaths=MAX_DEATHS, now=now
            )
        if job is None:
            if last:
                return
            enough.wait(0.01)
            continue
        say(job.id)
        with sessions.begin() as session:
            jobs.hold(session, job.id, attempt=1, lease_s=LEASE_S, now=now, progress={"step": 1})
            jobs.add_event(session, job.id, attempt=1, kind=EventKind.LOG, data={}, now=now)
        with sessions.begin() as session:
            jobs.succeed(session, job.id, attempt=1, now=now)


if __name__ == "__main__":
    main(*sys.argv[1:])
