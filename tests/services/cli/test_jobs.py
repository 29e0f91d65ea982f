import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from core.storage import jobs
from core.storage.tables import EventKind, Job
from tests.services.api.rows import NOW, add_checkpoint, add_job, claim
from tests.services.cli.conftest import Malgil, Server


def measure(server: Server, job: Job, step: int, loss: float) -> None:
    with server.sessions.begin() as session:
        jobs.add_event(
            session,
            job.id,
            attempt=1,
            kind=EventKind.METRICS,
            step=step,
            data={"loss": loss},
            now=NOW,
        )


def succeed(server: Server, job: Job) -> None:
    with server.sessions.begin() as session:
        jobs.succeed(session, job.id, attempt=1, now=NOW)


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_jobs_are_listed_and_shown(server: Server, malgil: Malgil) -> None:
    first, second = add_job(server.sessions), add_job(server.sessions)
    listed = malgil("jobs", "list")
    assert str(first.id) in listed.out
    assert str(second.id) in listed.out
    assert malgil("jobs", "list", "--status", "failed", "--json").data == {"data": []}
    assert len(malgil("jobs", "list", "--limit", "1", "--json").data["data"]) == 1
    shown = malgil("jobs", "show", first.id)
    assert "queued" in shown.out
    assert malgil("jobs", "show", first.id, "--json").data["id"] == str(first.id)


def test_an_unknown_job_is_refused(server: Server, malgil: Malgil) -> None:
    for command in ("show", "watch", "pause", "resume", "cancel"):
        assert malgil("jobs", command, uuid4()).code == 2
        assert malgil("jobs", command, "nonsense").code == 2


def test_a_waiting_job_is_cancelled_at_once_and_only_once(server: Server, malgil: Malgil) -> None:
    job = add_job(server.sessions)
    assert malgil("jobs", "cancel", job.id).out == "Cancelled.\n"
    assert malgil("jobs", "cancel", job.id).code == 2
    ran = malgil("jobs", "watch", job.id)
    assert ran.code == 1
    assert "The job was cancelled" in ran.err


def test_a_running_job_is_asked_to_stop(server: Server, malgil: Malgil) -> None:
    job = add_job(server.sessions)
    claim(server.sessions)
    assert malgil("jobs", "cancel", job.id).out == "Its worker was asked to stop.\n"


def test_a_waiting_job_is_paused_and_resumed(server: Server, malgil: Malgil) -> None:
    job = add_job(server.sessions)
    assert malgil("jobs", "pause", job.id).out == "Paused.\n"
    assert malgil("jobs", "list", "--status", "paused", "--json").data["data"]
    assert malgil("jobs", "resume", job.id).out == "Queued again.\n"
    claim(server.sessions)
    assert malgil("jobs", "pause", job.id).out == "Its worker was asked to put it aside.\n"
    assert malgil("jobs", "resume", job.id).out == "It goes on.\n"


def test_a_list_tells_when_a_job_is_likely_to_end(server: Server, malgil: Malgil) -> None:
    job = add_job(server.sessions)
    claim(server.sessions)
    assert "end " not in malgil("jobs", "list").out
    progress = {"step": 5, "total_steps": 10, "elapsed_s": 3600.0}
    with server.sessions.begin() as session:
        jobs.hold(session, job.id, attempt=1, lease_s=60, now=NOW, progress=progress)
    assert "end 20" in malgil("jobs", "list").out
    assert "ends about" in malgil("jobs", "show", job.id).out


def test_a_job_is_watched_to_its_end(server: Server, malgil: Malgil) -> None:
    job = add_job(server.sessions)
    claim(server.sessions)
    add_checkpoint(server.sessions, job_id=job.id)

    def work() -> None:
        time.sleep(0.3)
        measure(server, job, 20, 2.5)
        succeed(server, job)

    with meanwhile(work):
        ran = malgil("jobs", "watch", job.id, "--json")
    assert ran.code == 0
    *events, end = ran.lines
    kinds = [event["event"] for event in events]
    assert kinds == ["state", "state", "metrics", "state"]
    assert events[2]["step"] == 20
    assert events[2]["data"] == {"loss": 2.5}
    assert end["job"]["status"] == "succeeded"
    assert end["checkpoint"]["metrics"] == {"valid_loss": 1.5}


def test_for_people_the_end_tells_what_is_left(server: Server, malgil: Malgil) -> None:
    job = add_job(server.sessions)
    claim(server.sessions)
    checkpoint = add_checkpoint(server.sessions, job_id=job.id)
    succeed(server, job)
    ran = malgil("jobs", "watch", job.id)
    assert ran.code == 0
    assert f"job {job.id}: running: attempt 1" in ran.out
    assert str(checkpoint.id) in ran.out
    assert "1.5" in ran.out


def test_a_failed_job_is_1_and_says_why(server: Server, malgil: Malgil) -> None:
    job = add_job(server.sessions)
    claim(server.sessions)
    with server.sessions.begin() as session:
        jobs.fail(session, job.id, attempt=1, error="the corpus bored it", now=NOW)
    ran = malgil("jobs", "watch", job.id)
    assert ran.code == 1
    assert "the corpus bored it" in ran.err
    error = malgil("jobs", "watch", job.id, "--json").lines[-1]["error"]
    assert error["exit_code"] == 1
    assert error["job"]["status"] == "failed"


def test_an_interrupted_watch_leaves_the_job_running(server: Server, interruptible: None) -> None:
    job = add_job(server.sessions)
    claim(server.sessions)
    command = [sys.executable, "-m", "services.cli.main", "jobs", "watch", str(job.id)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as watching:
        assert watching.stdout is not None
        first = watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        rest = watching.stdout.read()
        assert watching.wait(20) == 130
    assert b"queued" in first
    assert f"malgil jobs watch {job.id}".encode() in rest
    with server.sessions() as session:
        assert jobs.get(session, job.id).status == "running"
        assert not jobs.get(session, job.id).cancel_requested
