"""Trainings while everything that they need is killed with -9, again and again."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.production import ENDED, House, house
from tests.chaos.killing import Kill, killed_and_started, killing
from tests.chaos.training import (
    add_corpus,
    child_in,
    made_by,
    queue,
    states,
    wait_for_end,
)

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3000)]

FoundT = TypeVar("FoundT")
JOBS = int(os.environ.get("CHAOS_JOBS") or 30)
KILLS = int(os.environ.get("CHAOS_KILLS") or 200)
SPECS = 5  # that are distinct
EVERY_S = 3.5  # on average: kills go on for as long as there is work
LONG: dict[str, Any] = {"max_epochs": 100, "patience": None}  # long enough to be hit
PATIENCE_S = 1800.0
# That its workers die says nothing of a job here: nobody is to give one up for it.
ENVIRONMENT = {"MALGIL_MAX_DEATHS": "1000", "MALGIL_THREADS": "1"}


def test_every_job_ends_once_and_as_if_nobody_had_been_killed(
    postgres_url: str, seed: int, tell: Tell
) -> None:
    with house(postgres_url, ENVIRONMENT) as running:
        running.run_jobs("jobs-2")
        add_corpus(running)
        calm = {number: queue(running, seed=number, **LONG) for number in range(1, SPECS + 1)}
        for job in calm.values():
            wait_for_end(running, job)
        wanted = {number: running.curve(job) for number, job in calm.items()}
        began = time.monotonic()
        seeds = {queue(running, seed=n % SPECS + 1, **LONG): n % SPECS + 1 for n in range(JOBS)}
        with killing(victims(running), pauses=pauses, seed=seed, limit=KILLS) as killer:
            patiently(lambda: all_ended(running, seeds))
        spent = time.monotonic() - began
        ends = {job: running.job(job) for job in seeds}
        told = {job: states(running, job) for job in seeds}
        curves = {job: running.curve(job) for job in seeds}
        made = {job: made_by(running, job) for job in seeds}
    twice = [job for job in seeds if sum(state in ENDED for state in told[job]) != 1]
    other = [job for job, number in seeds.items() if curves[job] != wanted[number]]
    attempts = [job["attempt"] for job in ends.values()]
    resumed = sum(count > 1 for count in attempts)
    tell(
        f"{JOBS} jobs of {SPECS} specs on 2 workers in {spent:.0f} s, {killer}: "
        f"{dict(Counter(job['status'] for job in ends.values()))}; "
        f"{sum(attempts)} attempts, at most {max(attempts)} for a job, {resumed} jobs taken up "
        f"again; {len(twice)} without exactly one end; "
        f"{sum(len(one) == 1 for one in made.values())} with exactly one checkpoint; "
        f"{len(other)} curves other than that of an undisturbed run"
    )
    assert not twice
    assert all(job["status"] == "succeeded" for job in ends.values())
    assert all(made[job] == [ends[job]["checkpoint_id"]] for job in seeds)
    assert not other
    assert killer.killed.total() == KILLS


def victims(running: House) -> dict[str, Kill]:
    """Return whom to kill, and how."""
    found: dict[str, Kill] = {"postgresql": lambda: kill_backend(running)}
    for name in ("jobs", "jobs-2"):
        worker = running.programs[name]
        found[f"{name} alone"] = killed_and_started(worker)
        found[f"{name} with its child"] = killed_and_started(worker, children=True)
        found[f"child of {name}"] = lambda worker=worker: killed_pid(child_in(worker))
    for name in ("beat", "valkey", "api"):
        found[name] = killed_and_started(running.programs[name])
    return found


def kill_backend(running: House) -> bool:
    """Kill a process of the database server, which then starts all of them anew."""
    try:
        with psycopg.connect(running.environment["MALGIL_DATABASE_URL"]) as connection:
            return killed_pid(connection.info.backend_pid)
    except psycopg.OperationalError:  # it is the one that was killed
        return True


def killed_pid(pid: int) -> bool:
    if pid:
        os.kill(pid, signal.SIGKILL)
    return bool(pid)


def pauses(chance: random.Random) -> float:
    return chance.expovariate(1 / EVERY_S)


def all_ended(running: House, jobs: dict[str, int]) -> bool:
    return all(running.job(job)["status"] in ENDED for job in jobs)


def patiently(look: Callable[[], object]) -> None:
    """Look until it is so; while the API or the database is down, it is looked again."""
    deadline = time.monotonic() + PATIENCE_S
    so: object = False
    while not so:
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(1)
        try:
            so = look()
        except (AssertionError, httpx.TransportError):
            continue
