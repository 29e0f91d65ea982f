"""Programs that a test starts, kills, starts again and ends, with all that they started."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from services.embedded.census import Seen, census

FoundT = TypeVar("FoundT")

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def without_malgil() -> dict[str, str]:
    """Return the environment with nothing in it that configures Malgil."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MALGIL_")}


def wait_until(look: Callable[[], FoundT], *, timeout_s: float = 60.0) -> FoundT:
    """Look until there is something to be seen, and return it."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)
    return found


class Program:
    """A program in a session of its own; every process it starts belongs to its group."""

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self._command = tuple(str(word) for word in command)
        self._environment = dict(environment)
        self._folder = folder
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()
        self.starts = 0

    @property
    def pid(self) -> int:
        """The process id, which is also that of its group."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, in a directory that holds nothing of the project."""
        elsewhere = self._folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=elsewhere,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._groups.add(self._process.pid)
        self.starts += 1

    def check(self) -> None:
        """Fail with its last words if it has ended."""
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} ended:\n{self.said()[-3000:]}"

    def wait(self, *, timeout_s: float = 60.0) -> int:
        """Wait for its end and return how it ended."""
        assert self._process is not None
        return self._process.wait(timeout=timeout_s)

    def said(self) -> str:
        """Return all it wrote."""
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        """Kill it alone; what it started is left an orphan."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_all(self) -> None:
        """Kill it with all that it started, as the end of a container does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self, *, grace_s: float = 30.0) -> bool:
        """Ask it to end; returns whether it went by itself and left nothing behind."""
        if self._process is None:
            return True
        self._process.terminate()
        try:
            self._process.wait(timeout=grace_s)
            went = True
        except subprocess.TimeoutExpired:
            went = False
        with suppress(AssertionError):
            wait_until(lambda: not self._left(), timeout_s=5)
        left = self._left()
        for group in {seen.group for seen in left}:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._process.wait()
        return went and not left

    def _left(self) -> list[Seen]:
        return [seen for seen in census() if seen.group in self._groups]
