"""What a chaos test trains: small models on the examples, on several job workers."""

import os
import signal
from pathlib import Path
from typing import Any

from services.embedded.census import census
from tests.acceptance.processes import Program, wait_until
from tests.acceptance.production import House

SMALLTALK = Path(__file__).parents[2] / "examples" / "smalltalk.ko.csv"
CHILD = "workers.child"
LINES = 80  # of the corpus
SMALL: dict[str, Any] = {
    "tokenizer": {"kind": "char", "vocabulary_size": 400},
    "model": {"embedding_dim": 16, "hidden_dim": 24, "dropout": 0.1},
    "train": {
        "batch_size": 8,
        "max_epochs": 30,
        "validate_every": 50,
        "snapshot_every_s": 0.5,
        "report_rows": 2,
    },
}


def add_corpus(running: House) -> None:
    """Bring in the corpus "talk"."""
    form = {"name": "talk", "kind": "pairs", "source_language": "ko", "target_language": "ko"}
    lines = SMALLTALK.read_bytes().splitlines(keepends=True)[:LINES]
    files = {"file": (SMALLTALK.name, b"".join(lines))}
    running.ask("POST", "/v1/corpora", data=form, files=files)


def queue(running: House, **train: Any) -> str:
    """Queue a training and return its job."""
    overrides = {**SMALL, "train": {**SMALL["train"], **train}}
    body = {"corpus": "talk", "recipe": "demo", "overrides": overrides}
    return str(running.ask("POST", "/v1/jobs", json=body)["id"])


def child_of(job: str) -> int:
    """Return the process that works on a job, or 0."""
    return next((s.pid for s in census() if CHILD in s.command and job in s.command), 0)


def child_in(worker: Program) -> int:
    """Return the process that works on a job for a worker, or 0."""
    return next((s.pid for s in census() if s.group == worker.pid and CHILD in s.command), 0)


def worker_of(running: House, job: str) -> Program:
    """Return the worker that holds a job."""
    *_, pid, _ = running.job(job)["worker"].split("-")  # host, process, a word
    return next(one for one in running.programs.values() if str(one.pid) == pid)


def send_all(program: Program, what: signal.Signals) -> None:
    """Send a signal to a program and all that it started."""
    os.killpg(program.pid, what)


def words(running: House, job: str) -> list[str]:
    """Return what is told of a job, oldest first."""
    events = running.ask("GET", f"/v1/jobs/{job}/events?limit=200")["data"]
    return [str(event["data"].get("message")) for event in events if event["kind"] == "log"]


def states(running: House, job: str) -> list[str]:
    """Return the states that a job went through."""
    events, after = [], 0
    while page := running.ask("GET", f"/v1/jobs/{job}/events?after={after}&limit=200"):
        events += [one["data"]["status"] for one in page["data"] if one["kind"] == "state"]
        if not page["data"]:
            break
        after = page["next"]
    return events


def wait_for_end(running: House, job: str, status: str = "succeeded") -> dict[str, Any]:
    """Wait until a job has ended, as it should, and return it."""
    wait_until(lambda: running.job(job)["ended_at"], timeout_s=180)
    ended = running.job(job)
    assert ended["status"] == status, ended
    return ended


def made_by(running: House, job: str) -> list[str]:
    """Return the checkpoints that a job made."""
    found = running.ask("GET", "/v1/checkpoints?limit=200")["data"]
    return [one["id"] for one in found if one["job_id"] == job]
