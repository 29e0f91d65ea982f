"""Who makes up an embedded installation: one row for each process, in the order of starting."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from core.queue.messages import INFERENCE_QUEUE, JOBS_QUEUE, SWEEP_QUEUE
from core.settings import Settings, socket_path
from services.embedded import valkey

SOURCES = Path(__file__).parents[2]  # where the packages core, services, workers, migrations lie
BROKER, SCHEMA, WORKER, FACE = range(4)  # tiers: started upwards, ended downwards
SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One process to be run, and how it is told to end."""

    name: str
    tier: int
    command: tuple[str, ...]
    where: str  # what it listens to or writes, for the one who reads the screen
    environment: Mapping[str, str] = field(default_factory=dict)  # over that of all children
    once: bool = False  # runs to its end before the next tier starts, and is not restarted
    lacking: Callable[[], str] = str  # what it still waits for; empty lets the next tier start
    end: Callable[[], None] | None = None  # a kinder way than the signal
    end_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0  # from asking to killing


def children(settings: Settings) -> list[Child]:
    """Return who has to run for ``settings``; a queue server elsewhere is left to its owner."""
    return [
        *([_valkey(settings)] if valkey.is_embedded(settings) else []),
        Child(
            name="migrations",
            tier=SCHEMA,
            command=_python("migrations"),
            where=_without_password(settings.database_url),
            once=True,
        ),
        _worker("inference", INFERENCE_QUEUE, threads=1),
        _worker("jobs", JOBS_QUEUE, SWEEP_QUEUE, threads=4),
        Child(
            name="beat",  # apart from the workers: inside one, it could die without being seen
            tier=WORKER,
            command=_celery("beat"),
            where=f"asks for a sweep every {settings.sweep_s:g} s",
        ),
        Child(
            name="api",
            tier=FACE,
            command=_python("services.api"),
            where=base_url(settings),
            lacking=partial(unready, settings),
            grace_s=20.0,  # it gives requests that have begun 15 s
        ),
    ]


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which a child, run in ``SOURCES``, reads ``settings`` again."""
    said = settings.model_dump(exclude_none=True)
    told = {f"MALGIL_{key.upper()}": str(value) for key, value in said.items()}
    path = settings.database_url.removeprefix(SQLITE)
    if path != settings.database_url:
        told["MALGIL_DATABASE_URL"] = SQLITE + str(Path(path).absolute())
    own = {"PYTHONUNBUFFERED": "1", "TMPDIR": str(scratch_dir(settings))}
    return {**os.environ, **told, **own}


def scratch_dir(settings: Settings) -> Path:
    """Return where children put what need not outlive them; emptied at each start."""
    return settings.home / "tmp"


def base_url(settings: Settings) -> str:
    """Return where this machine reaches the API that listens as ``settings`` say."""
    host = _dialled(settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def unready(settings: Settings) -> str:
    """Return what the API says is missing; empty once it says that everything works."""
    with closing(HTTPConnection(_dialled(settings.host), settings.port, timeout=5.0)) as connection:
        try:
            connection.request("GET", "/ready")
            answer = connection.getresponse()
            return "" if answer.status == 200 else _reason(answer.status, answer.read())
        except (OSError, HTTPException):
            return "the API does not answer yet"


def _reason(status: int, body: bytes) -> str:
    try:
        checks = json.loads(body)["checks"].items()
        missing = "; ".join(
            f"{name}: {check['detail']}" for name, check in checks if not check["ok"]
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        missing = ""
    return missing or f"the API answers {status}"


def _valkey(settings: Settings) -> Child:
    socket = socket_path(settings.home)
    return Child(
        name="valkey",
        tier=BROKER,
        command=valkey.command(settings),
        where=f"unix://{socket}",
        lacking=lambda: "" if valkey.answers(socket) else "it does not answer yet",
        end=partial(valkey.shut_down, socket),
    )


def _worker(name: str, *queues: str, threads: int) -> Child:
    pool = ("--pool", "threads", "--concurrency", str(threads))
    options = (*pool, "--hostname", f"{name}@%h", "--without-mingle", "--without-gossip")
    command = _celery("worker", "--queues", ",".join(queues), *options)
    return Child(
        name=name,
        tier=WORKER,
        command=command,
        where=f"reads {', '.join(queues)}",
        grace_s=20.0,  # a training ends its step, keeps a snapshot and gives the job back
    )


def _celery(*words: str) -> tuple[str, ...]:
    return _python("celery", "--quiet", "--app", "workers.app", *words, "--loglevel", "warning")


def _python(module: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *words)


def _dialled(host: str) -> str:
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)


def _without_password(url: str) -> str:
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":***@") if password else url
