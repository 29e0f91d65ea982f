"""A disk that is full for a while, with everything on it: database, queue, blobs, scratch, logs."""

import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.installations import up
from tests.acceptance.processes import wait_until
from tests.acceptance.production import ENDED
from tests.chaos.asking import asking
from tests.chaos.training import LINES, SMALL, SMALLTALK

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

DISK_MB = 96
FULL_S = 20.0  # several times as long as a lease
DEADLINE_S = 10.0
CLIENTS = 4
EPOCHS = 60


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small file system of its own."""
    with tempfile.TemporaryDirectory(prefix="malgil-disk-") as folder:
        options = ["-t", "tmpfs", "-o", f"size={DISK_MB}m", "malgil", folder]
        mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"only root may mount a small file system: {mounted.stderr.strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def test_work_waits_for_room_and_nothing_is_lost(disk: Path, tell: Tell) -> None:
    with up(disk / "home") as running, httpx.Client(base_url=running.url, timeout=60) as client:
        add_corpus(client)
        calm = queue(client)
        wait_until(lambda: job(client, calm)["status"] == "succeeded", timeout_s=120)
        hit = queue(client)
        wait_until(lambda: step(client, hit) >= 100)
        with asking(running.url, clients=CLIENTS, deadline_s=DEADLINE_S) as tallies:
            with filled(disk):
                refused = Counter(asked_for_a_job(client) for _ in wait(FULL_S))
                beyond = step(client, hit)
            wait_until(lambda: job(client, hit)["status"] in ENDED, timeout_s=120)
            late = queue(client)
            wait_until(lambda: job(client, late)["status"] in ENDED, timeout_s=120)
        ends = [job(client, one) for one in (hit, late)]
        curves = [curve(client, one) for one in (calm, hit, late)]
        said = [word for word in words(client, hit) if word.startswith(("waits", "goes on after"))]
        accepted = jobs(client)
    [tally] = tallies
    tell(
        f"{DISK_MB} MB, full for {FULL_S:g} s at step {step_of(ends[0])}: a new job got "
        f"{dict(refused)}; the one that ran: {ends[0]['status']} after {ends[0]['attempt']} "
        f"attempts, at step {beyond} when there was room; it said {said}; curves equal: "
        f"{curves[0] == curves[1] == curves[2]}; {tally}"
    )
    assert all(one["status"] == "succeeded" for one in ends), ends
    assert curves[0] == curves[1] == curves[2]
    assert said
    assert not tally.silent
    assert accepted == 3 + refused[201]
    assert set(refused) <= {201, 503}


def test_a_job_that_finds_no_room_to_work_in_stays_in_the_queue(disk: Path, tell: Tell) -> None:
    with up(disk / "home") as running, httpx.Client(base_url=running.url, timeout=60) as client:
        add_corpus(client)
        with filled(disk, but_mb=4):
            waiting = queue(client)
            time.sleep(FULL_S)
            found = job(client, waiting)
        wait_until(lambda: job(client, waiting)["status"] in ENDED, timeout_s=120)
        ended = job(client, waiting)
    tell(
        f"with 4 MB left for {FULL_S:g} s a job was {found['status']} (attempt "
        f"{found['attempt']}), and then {ended['status']} (attempt {ended['attempt']})"
    )
    assert (found["status"], found["attempt"]) == ("queued", 0)
    assert (ended["status"], ended["attempt"]) == ("succeeded", 1)


@contextmanager
def filled(disk: Path, *, but_mb: int = 0) -> Iterator[None]:
    """Leave so little room on a disk until the block is left."""
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    try:
        with filler.open("wb", buffering=0) as file:
            file.write(b"\0" * max(free - (but_mb << 20), 0))
        yield
    finally:
        filler.unlink()


def wait(seconds: float) -> Iterator[None]:
    """Yield once a second for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(1)


def add_corpus(client: httpx.Client) -> None:
    lines = SMALLTALK.read_bytes().splitlines(keepends=True)[:LINES]
    form = {"name": "talk", "kind": "pairs"}
    files = {"file": (SMALLTALK.name, b"".join(lines))}
    client.post("/v1/corpora", data=form, files=files).raise_for_status()


def wish() -> dict[str, Any]:
    train = {**SMALL["train"], "max_epochs": EPOCHS, "patience": None}
    overrides = {**SMALL, "train": train}
    return {"corpus": "talk", "recipe": "demo", "promote_to": "bot", "overrides": overrides}


def queue(client: httpx.Client) -> str:
    return str(client.post("/v1/jobs", json=wish()).raise_for_status().json()["id"])


def asked_for_a_job(client: httpx.Client) -> int:
    """Ask for one that is cancelled if it is accepted; return how that was answered."""
    answer = client.post("/v1/jobs", json={**wish(), "promote_to": None})
    if answer.status_code == 201:
        client.post(f"/v1/jobs/{answer.json()['id']}/cancel")
    return answer.status_code


def job(client: httpx.Client, one: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/jobs/{one}").raise_for_status().json()
    return found


def jobs(client: httpx.Client) -> int:
    return len(client.get("/v1/jobs?limit=200").raise_for_status().json()["data"])


def step(client: httpx.Client, one: str) -> int:
    return step_of(job(client, one))


def step_of(found: dict[str, Any]) -> int:
    return int((found["progress"] or {}).get("step", 0))


def curve(client: httpx.Client, one: str) -> list[tuple[int, Any]]:
    return [(e["step"], e["data"]) for e in events(client, one) if e["kind"] == "metrics"]


def words(client: httpx.Client, one: str) -> list[str]:
    return [str(e["data"].get("message")) for e in events(client, one) if e["kind"] == "log"]


def events(client: httpx.Client, one: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := client.get(
        f"/v1/jobs/{one}/events?limit=200&after={len(found) and found[-1]['id']}"
    ):
        told = page.raise_for_status().json()["data"]
        if not told:
            break
        found += told
    return found
