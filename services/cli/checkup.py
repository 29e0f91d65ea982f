"""What ``malgil doctor`` looks at: each part of an installation, and how to mend it."""

import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from core.errors import MalgilError
from core.queue.broker import seconds
from core.queue.messages import INFERENCE_QUEUE, JOBS_QUEUE, SWEEP_QUEUE, alive_key
from core.settings import Settings
from core.storage.blobs import Blobs
from core.storage.clock import TIME
from core.storage.session import open_engine
from services.cli.client import Client
from services.cli.failures import Failure, sentences
from services.cli.screen import size

SQLITE = "sqlite:///"
CONNECT_S = 5
CHECK_S = 60.0  # for the comparison of a schema
OLDEST_REDIS = (6, 2)
FREE_BYTES = 10**9
SKEW_S = 60.0  # work goes by the clocks of the servers; logs go by those of their hosts
WORKERS = {
    "inference worker": (INFERENCE_QUEUE, "inference"),
    "job worker": (JOBS_QUEUE, "jobs"),
    "beat": (SWEEP_QUEUE, "beat"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found; ``mend`` says what to do where it is not ``ok``."""

    name: str
    ok: bool
    found: str
    mend: str = ""


def findings(settings: Settings) -> Iterator[Finding]:
    """Yield what there is to say about an installation, part by part."""
    yield Finding("settings", ok=True, found=f"read; home is {settings.home}")
    yield from _database(settings)
    yield from _redis(settings)
    yield _blobs(settings)
    yield from _disks(settings)
    yield _api(settings)


def _database(settings: Settings) -> Iterator[Finding]:
    url = make_url(settings.database_url)
    shown = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite":
        if not Path(url.database or "").is_file():
            mend = "`malgil up` makes it; is MALGIL_HOME or MALGIL_DATABASE_URL the right one?"
            yield Finding("database", ok=False, found=f"there is no {url.database}", mend=mend)
            return
    else:
        url = url.update_query_dict({"connect_timeout": str(CONNECT_S)})
    engine = open_engine(url.render_as_string(hide_password=False))
    try:
        ahead_s = _database_ahead_s(engine)
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        mend = "Start the server, or put MALGIL_DATABASE_URL right."
        yield Finding("database", ok=False, found=f"{shown} does not answer: {reason}", mend=mend)
        return
    finally:
        engine.dispose()
    yield Finding("database", ok=True, found=f"{shown} answers")
    yield _schema()
    if ahead_s is not None:
        yield _clock("database", ahead_s)


def _schema() -> Finding:
    """Ask the migrations, which no other part imports: they are a process."""
    command = [sys.executable, "-m", "migrations", "check"]
    try:
        ran = subprocess.run(  # noqa: S603 (our own module)
            command, capture_output=True, text=True, check=False, timeout=CHECK_S
        )
    except subprocess.TimeoutExpired:
        found = f"the comparison took longer than {CHECK_S:.0f} s"
        mend = "Look who holds locks in the database."
        return Finding("schema", ok=False, found=found, mend=mend)
    if ran.returncode == 0:
        return Finding("schema", ok=True, found="at the newest migration")
    said = (ran.stdout.strip() or ran.stderr.strip()).splitlines()
    found = said[0] if ran.stdout.strip() else said[-1] if said else "the check failed"
    mend = "Make a backup, then run `python -m migrations`; with `malgil up` a restart does it."
    return Finding("schema", ok=False, found=found, mend=mend)


def _redis(settings: Settings) -> Iterator[Finding]:
    options = {"socket_connect_timeout": CONNECT_S, "socket_timeout": CONNECT_S}
    # Given up at once: whoever asks a doctor wants to hear what is, not what may come.
    with closing(
        Redis.from_url(settings.redis_url, retry=Retry(NoBackoff(), 0), **options)
    ) as redis:
        try:
            info = redis.info()
            ahead_s = _redis_ahead_s(redis)
            alive = {name: bool(redis.exists(alive_key(q))) for name, (q, _) in WORKERS.items()}
        except (RedisError, OSError) as error:
            mend = "Start it (`malgil up` starts its own), or put MALGIL_REDIS_URL right."
            yield Finding("queue server", ok=False, found=f"does not answer: {error}", mend=mend)
            return
    yield _version(info)
    yield _setting("queue log", "appendonly", info.get("aof_enabled") == 1, "yes")
    policy = str(info.get("maxmemory_policy"))
    yield _setting("queue memory", "maxmemory-policy", policy == "noeviction", "noeviction")
    yield _clock("queue server", ahead_s)
    for name, (queue, process) in WORKERS.items():
        yield _worker(name, queue, process, is_alive=alive[name])


def _version(info: dict[str, object]) -> Finding:
    server = str(info.get("server_name", "redis"))
    version = str(info.get(f"{server}_version", info["redis_version"]))
    speaks = str(info["redis_version"])  # what Valkey calls itself here is compatible with it
    ok = tuple(int(part) for part in speaks.split(".")[:2]) >= OLDEST_REDIS
    mend = "" if ok else "Malgil needs Redis 6.2 or newer, or Valkey."
    return Finding("queue server", ok=ok, found=f"{server} {version} answers", mend=mend)


def _setting(name: str, option: str, ok: bool, wanted: str) -> Finding:
    if ok:
        return Finding(name, ok=True, found=f"{option} is {wanted}")
    mend = f"Set `{option} {wanted}` where the queue server is configured, and restart it."
    return Finding(name, ok=False, found=f"{option} is not {wanted}", mend=mend)


def _worker(name: str, queue: str, process: str, *, is_alive: bool) -> Finding:
    if is_alive:
        return Finding(name, ok=True, found=f"{queue} is consumed")
    mend = f"Start it, or read its log: logs/{process}.log in the home, or that of its container."
    return Finding(name, ok=False, found=f"nobody was heard of on {queue} lately", mend=mend)


def _clock(name: str, ahead_s: float) -> Finding:
    ok = abs(ahead_s) <= SKEW_S
    found = f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine"
    mend = "" if ok else "Let both machines set their clocks by the same time server (NTP)."
    return Finding(f"clock of {name}", ok=ok, found=found, mend=mend)


def _blobs(settings: Settings) -> Finding:
    folder = _blob_folder(settings)
    if folder and not folder.is_dir():
        mend = "The first start makes it; is MALGIL_HOME or MALGIL_BLOBS_URL the right one?"
        return Finding("blob store", ok=False, found=f"there is no {folder}", mend=mend)
    data = f"malgil doctor {secrets.token_hex(16)}".encode()
    try:
        blobs = Blobs.open(settings.blobs_url)
        key = blobs.put(data)
        same = blobs.get(key) == data
        blobs.delete(key)
    except (MalgilError, OSError) as error:
        mend = "Give this user the right to write there, or put MALGIL_BLOBS_URL and AWS_* right."
        return Finding("blob store", ok=False, found=f"{settings.blobs_url}: {error}", mend=mend)
    mend = "" if same else "The store gives back other bytes than it was given; look at its disk."
    return Finding("blob store", ok=same, found=f"{settings.blobs_url} keeps blobs", mend=mend)


def _disks(settings: Settings) -> Iterator[Finding]:
    """Look at each disk that is written to, once, however many of the places lie on it."""
    places = {"home": settings.home, "scratch": Path(tempfile.gettempdir())}
    if folder := _blob_folder(settings):
        places["blobs"] = folder
    seen: dict[int, list[str]] = {}
    paths: dict[int, Path] = {}
    for name, place in places.items():
        path = next(one for one in (place, *place.parents) if one.exists())
        device = path.stat().st_dev
        seen.setdefault(device, []).append(name)
        paths.setdefault(device, path)
    for device, names in seen.items():
        free = shutil.disk_usage(paths[device]).free
        ok = free >= FREE_BYTES
        mend = "" if ok else f"Make room: snapshots and uploads need up to {size(FREE_BYTES)}."
        found = f"{size(free)} free at {paths[device]} ({', '.join(names)})"
        yield Finding("disk", ok=ok, found=found, mend=mend)


def _blob_folder(settings: Settings) -> Path | None:
    url = settings.blobs_url
    return Path(url.removeprefix("file://")) if url.startswith("file:///") else None


def _api(settings: Settings) -> Finding:
    began = time.monotonic()
    client = Client(settings.api_url)
    try:
        with client:
            client.ask("GET", "/health")
    except Failure as failure:
        said = " ".join((str(failure.problem["title"]) + ".", *sentences(failure.problem)))
        mend = "Start it, or put MALGIL_API_URL right."
        return Finding("API", ok=False, found=said, mend=mend)
    spent_ms = (time.monotonic() - began) * 1e3
    return Finding("API", ok=True, found=f"{settings.api_url} answers in {spent_ms:.0f} ms")


def _database_ahead_s(engine: Engine) -> float | None:
    """Return how far the clock of the server is ahead; None of a file, which has no clock."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("SELECT 1"))
            return None
        return _ahead_s(lambda: float(connection.execute(TIME).scalar_one()))


def _redis_ahead_s(redis: Redis) -> float:
    return _ahead_s(lambda: seconds(redis.time()))


def _ahead_s(ask: Callable[[], float]) -> float:
    """Return how far a clock is ahead of ours, as if it had been read in mid-question."""
    before = time.time()
    there = ask()
    return there - (before + time.time()) / 2
