"""The API as a process of its own: how soon it is there, what it weighs, how fast it says so."""

import http.client
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.processes import ROOT, free_port, without_malgil

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

STARTS = 3
REQUESTS = 500
START_LIMIT_S = 3.0
MEDIAN_LIMIT_MS = 5.0
LOADED = "import sys, services.api.app; print('torch' in sys.modules)"


@contextmanager
def api() -> Iterator[tuple[int, int, float]]:
    """Start the API in an empty home; port, process id, and the seconds to its first 200."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="malgil-") as home:
        environment = {**without_malgil(), "MALGIL_HOME": home, "MALGIL_PORT": str(port)}
        command = [sys.executable, "-m", "services.api"]
        with (
            Path(home, "api.log").open("wb") as log,
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log) as process,
        ):
            try:
                began = time.perf_counter()
                while not is_healthy(port):
                    assert process.poll() is None, Path(home, "api.log").read_text()
                    assert time.perf_counter() - began < 60
                    time.sleep(0.01)
                yield port, process.pid, time.perf_counter() - began
            finally:
                process.terminate()
                process.wait(timeout=20)
        assert process.returncode in (0, -signal.SIGTERM)  # uvicorn passes the signal on at its end


def is_healthy(port: int) -> bool:
    """Ask once."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False


def loads_torch(pid: int) -> bool:
    """Tell whether the process has torch; where there is no /proc, whether its modules do."""
    maps = Path(f"/proc/{pid}/maps")
    if maps.exists():
        return "libtorch" in maps.read_text()
    command = [sys.executable, "-c", LOADED]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return "True" in said


def latencies_ms(port: int) -> list[float]:
    """Ask for the health on one connection, again and again."""
    spent = []
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.connect()
        kept = connection.sock
        kept.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(REQUESTS):
            began = time.perf_counter()
            connection.request("GET", "/health")
            response = connection.getresponse()
            response.read()
            spent.append((time.perf_counter() - began) * 1e3)
            assert response.status == 200
            assert connection.sock is kept, "the server hung up"
    return sorted(spent)


def test_the_api_is_there_at_once_without_torch_and_answers_fast(tell: Tell) -> None:
    starts = []
    for _ in range(STARTS):
        with api() as (port, pid, start_s):
            starts.append(start_s)
            assert not loads_torch(pid)
            spent = latencies_ms(port)
    start_s, p50, p99 = statistics.median(starts), spent[REQUESTS // 2], spent[REQUESTS * 99 // 100]
    tell(
        f"API: first 200 after {start_s:.2f} s (median of {STARTS}, limit {START_LIMIT_S:g} s), "
        f"no torch; /health p50 {p50:.2f} ms (limit {MEDIAN_LIMIT_MS:g} ms), p99 {p99:.2f} ms "
        f"over {REQUESTS} requests on one connection"
    )
    assert start_s < START_LIMIT_S
    assert p50 < MEDIAN_LIMIT_MS
