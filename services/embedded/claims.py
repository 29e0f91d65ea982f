"""What one supervisor must have to itself: its home, and the port of the API."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import ConflictError
from core.settings import Settings

LOCK_FILE = "supervisor.lock"


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold ``home`` against every other supervisor; the system lets go when this process ends.

    Makes the directory, closed to others, where there is none. Raises ConflictError naming the
    process that holds it.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / LOCK_FILE).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise ConflictError(
                f"Malgil already runs on {home} (process {holder}). Stop that one, "
                "or choose another MALGIL_HOME and MALGIL_PORT."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def with_port(settings: Settings) -> Settings:
    """Return ``settings`` with a port that is free now in the place of port 0.

    Raises ConflictError naming the port where the one that was asked for is taken, or cannot be
    had on that host.
    """
    if settings.port == 0:
        free = _bound(settings.host, 0)
        url = settings.api_url.removesuffix(":0")
        api_url = f"{url}:{free}" if url != settings.api_url else settings.api_url
        return settings.model_copy(update={"port": free, "api_url": api_url})
    host, port = settings.host, settings.port
    try:
        _bound(host, port)
    except OSError as error:
        raise ConflictError(
            f"Port {port} on {host} cannot be used: {error.strerror or error}. "
            "Choose another with --port or MALGIL_PORT."
        ) from error
    return settings


def _bound(host: str, port: int) -> int:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)  # on Linux two may bind with SO_REUSEADDR, but only one may listen
        return int(probe.getsockname()[1])
