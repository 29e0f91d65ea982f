"""One child that runs: its own session, its output in a log file."""

import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from services.embedded import state
from services.embedded.children import SOURCES, Child

KEPT_LOGS = 3
TAIL_LINES = 15
TAIL_BYTES = 8192


class Process:
    """A child and the process that is it now; it can be started again after it ended."""

    def __init__(self, child: Child, *, log: Path, environment: dict[str, str]) -> None:
        self.child = child
        self.log = log
        self.record: state.Record | None = None
        self.started_at = 0.0  # on the monotonic clock, as is the next
        self.restart_at: float | None = None
        self.deaths = 0  # since it last lived for long
        self._environment = {**environment, **child.environment}
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id now or last; 0 before the first start."""
        return self._running.pid if self._running else 0

    @property
    def alive(self) -> bool:
        """Whether it was started and has not been found ended by ``reap``."""
        return self._running is not None and self._running.returncode is None

    def start(self) -> None:
        """Start it as the leader of its own session: no key press in the terminal reaches it.

        Raises OSError.
        """
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(  # noqa: S603 (from the table of children)
                self.child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=SOURCES,
                start_new_session=True,
            )
        self.started_at, self.restart_at = time.monotonic(), None
        with suppress(OSError, subprocess.SubprocessError):  # ``ps`` may fail; the child runs
            self.record = state.record(self.child.name, self.pid, tier=self.child.tier)

    def reap(self) -> int | None:
        """Return how it ended, negative for a signal, if it has ended since the last look.

        What is left of its group, such as a worker's own children, is killed with it.
        """
        if self._running is None or self._running.returncode is not None:
            return None
        code = self._running.poll()
        if code is not None:
            self._gone()
        return code

    def ask_to_end(self) -> None:
        """Tell it to end, in the kindest way it knows."""
        if self.alive and self._running:
            if self.child.end:
                self.child.end()
            else:
                self._running.send_signal(self.child.end_signal)

    def wait_or_kill(self, deadline: float) -> bool:
        """Wait until it has ended; return whether it had to be killed at ``deadline``.

        ``deadline`` is on the monotonic clock.
        """
        if not self.alive or self._running is None:
            return False
        try:
            self._running.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            state.signal_group(self.pid, signal.SIGKILL)
            self._running.wait()
            return True
        finally:
            self._gone()
        return False

    def tail(self) -> str:
        """Return the last lines of its log."""
        return tail(self.log)

    def _gone(self) -> None:
        state.signal_group(self.pid, signal.SIGKILL)
        self.record = None


def tail(log: Path) -> str:
    """Return the last lines of a log, empty if there are none."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - TAIL_BYTES, 0))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-TAIL_LINES:])
    return ""


def rotate(log: Path) -> None:
    """Put last time's log aside, as ``name.log.1``; the oldest of ``KEPT_LOGS`` goes."""
    for number in range(KEPT_LOGS - 1, -1, -1):
        older = log.with_name(f"{log.name}.{number}") if number else log
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
