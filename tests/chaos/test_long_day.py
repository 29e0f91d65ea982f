"""A day of jobs and replies in minutes: nothing grows but what people have made."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from core.queue.drain import MAILBOX_LENGTH
from core.queue.inbox import GIVEN_UP_LENGTH
from core.settings import socket_path
from tests.acceptance.conftest import Tell
from tests.acceptance.installations import Installation, home, up
from tests.acceptance.processes import wait_until
from tests.acceptance.test_long_run import memory_mb

HOURS = int(os.environ.get("CHAOS_HOURS") or 24)
SETTLED = 8  # the hour from which on nothing may grow: by then all have met what there is
HOUR_S = 15.0  # how long an hour takes, at least
SWEEP_S = 0.1  # sweeps come twenty times as often as by default, as leases and beats do not
REPLIES = 120  # in an hour
LETTERS = MAILBOX_LENGTH + GIVEN_UP_LENGTH + 1000  # a mailbox keeps so many; and what is waiting
GROWN = 0.08  # of what a process held at that hour, at most
WATCHED = ("api", "inference", "jobs", "beat", "valkey")
TRAIN = {
    "tokenizer": {"vocabulary_size": 2000},
    "model": {"embedding_dim": 32, "hidden_dim": 48},
    "train": {"max_epochs": 1, "report_rows": 5, "snapshot_every_s": 0.2},
}
SMALLTALK = Path(__file__).parents[2] / "examples" / "smalltalk.ko.csv"


@dataclass(frozen=True)
class Look:
    """What there is after an hour."""

    memory: dict[str, float]  # MB of each process
    descriptors: dict[str, int]  # of open files, of each process
    keys: int  # in Redis
    entries: int  # in its streams and lists
    blobs: int
    rows: dict[str, int]  # of each table


@pytest.fixture
def house() -> Iterator[Installation]:
    before = {name: os.environ.get(name) for name in ("MALGIL_SWEEP_S", "MALGIL_THREADS")}
    os.environ |= {"MALGIL_SWEEP_S": str(SWEEP_S), "MALGIL_THREADS": "1"}
    try:
        with home() as folder, up(folder) as installation:
            yield installation
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@pytest.mark.chaos
@pytest.mark.timeout(2400)
def test_a_day_leaves_nothing_but_what_was_made(house: Installation, tell: Tell) -> None:
    looks = []
    with httpx.Client(base_url=house.url, timeout=60) as client:
        form = {"name": "talk", "kind": "pairs"}
        with SMALLTALK.open("rb") as file:
            client.post("/v1/corpora", data=form, files={"file": file}).raise_for_status()
        for hour in range(HOURS):
            began = time.monotonic()
            an_hour(client, hour)
            time.sleep(max(HOUR_S - (time.monotonic() - began), 0))
            looks.append(look(house))
            if hour % 4 == 3:
                tell(f"hour {hour + 1}: {told(looks[-1])}")
    settled, last = looks[min(SETTLED, HOURS) - 1], looks[-1]
    made = client_rows(last.rows)
    tell(
        f"{HOURS} hours of {HOUR_S:g} s, {HOURS} jobs, {HOURS * REPLIES} replies; since hour "
        f"{SETTLED}: "
        + ", ".join(
            f"{name} {last.memory[name] / settled.memory[name] - 1:+.1%}" for name in WATCHED
        )
        + f"; keys {settled.keys} to {last.keys}, entries {settled.entries} to {last.entries}, "
        f"{last.blobs} blobs for {made['checkpoints']} checkpoints, {made['events a job']:.0f} "
        "events a job"
    )
    for name in WATCHED:
        assert last.memory[name] <= (1 + GROWN) * settled.memory[name] + 1, name
        assert last.descriptors[name] <= settled.descriptors[name] + 3, name
    assert last.keys <= settled.keys + 2
    assert last.entries <= LETTERS
    assert last.blobs == last.rows["checkpoints"] == last.rows["jobs"] == HOURS
    assert last.rows["snapshots"] == 0
    assert last.rows["job_events"] <= 60 * HOURS
    assert last.rows["turns"] == 2 * HOURS
    assert not list((house.home / "tmp").glob("malgil-job-*"))


def an_hour(client: httpx.Client, hour: int) -> None:
    """Train a model, let a name mean it, and ask it; talk a little."""
    body: dict[str, Any] = {"corpus": "talk", "recipe": "demo", "promote_to": "bot"}
    seed = {"train": {**TRAIN["train"], "seed": hour + 1}}
    body["overrides"] = {**TRAIN, **seed}
    job = client.post("/v1/jobs", json=body).raise_for_status().json()["id"]
    wait_until(lambda: ended(client, job), timeout_s=300)
    for number in range(REPLIES):
        ask = {"model": "bot", "text": f"안녕 {number}", "stream": number % 5 == 0}
        client.post("/v1/replies", json=ask).raise_for_status()
    talk = client.post("/v1/conversations", json={"model": "bot"}).raise_for_status().json()["id"]
    said = client.post(f"/v1/conversations/{talk}/turns", json={"text": "밥 먹었어?"})
    said.raise_for_status()


def ended(client: httpx.Client, job: str) -> bool:
    status = client.get(f"/v1/jobs/{job}").raise_for_status().json()["status"]
    assert status not in {"failed", "cancelled"}, client.get(f"/v1/jobs/{job}").text
    return status == "succeeded"


def look(house: Installation) -> Look:
    """Look at everything that could grow."""
    with closing(redis.Redis(unix_socket_path=str(socket_path(house.home)))) as queue:
        names = list(queue.scan_iter("*"))
        sizes = [size(queue, name) for name in names]
    with closing(sqlite3.connect(house.home / "malgil.db")) as database:
        tables = database.execute("select name from sqlite_master where type = 'table'")
        rows = {
            table: database.execute(f"select count(*) from {table}").fetchone()[0]
            for (table,) in tables.fetchall()
        }
    return Look(
        memory={name: memory_mb(house.pids[name]) for name in WATCHED},
        descriptors={
            name: len(list(Path(f"/proc/{house.pids[name]}/fd").iterdir())) for name in WATCHED
        },
        keys=len(names),
        entries=sum(sizes),
        blobs=len([path for path in (house.home / "blobs").rglob("*") if path.is_file()]),
        rows=rows,
    )


def size(queue: redis.Redis, name: bytes) -> int:
    kind = queue.type(name)
    return {b"stream": queue.xlen, b"list": queue.llen}.get(kind, lambda _: 1)(name)


def told(one: Look) -> str:
    held = ", ".join(f"{name} {mb:.1f} MB" for name, mb in one.memory.items())
    rows = ", ".join(f"{count} {table}" for table, count in sorted(one.rows.items()) if count)
    return f"{held}; {one.keys} keys with {one.entries} entries; {one.blobs} blobs; {rows}"


def client_rows(rows: dict[str, int]) -> dict[str, float]:
    """Return what people have made, and what was told of it."""
    return {
        "checkpoints": rows["checkpoints"],
        "events a job": rows["job_events"] / max(rows["jobs"], 1),
    }
