"""The note of who runs, kept where it outlives the supervisor: a file, and the warden."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from services.embedded import state
from services.embedded.children import SOURCES

WARDEN = (sys.executable, "-m", "services.embedded.warden")
WARDEN_GRACE_S = 5.0


class Ledger:
    """Writes down who runs after every change; the warden ends them if the writer vanishes."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._warden = self._hire()

    @property
    def warden_pid(self) -> int:
        """The process id of the warden."""
        return self._warden.pid

    def write(self, records: Sequence[state.Record]) -> None:
        """Note who runs now. Raises OSError where the file cannot be written."""
        try:
            self._tell(records)
        except OSError:  # someone ended the warden
            self._pipe.close()
            self._warden.wait()
            self._warden = self._hire()
            self._tell(records)
        state.write(self._home, records)

    def close(self) -> None:
        """Note that all have ended, and dismiss the warden."""
        with suppress(OSError):
            self._tell([])
        state.forget(self._home)
        self._pipe.close()
        try:
            self._warden.wait(WARDEN_GRACE_S)
        except subprocess.TimeoutExpired:
            self._warden.kill()
            self._warden.wait()

    def _tell(self, records: Sequence[state.Record]) -> None:
        self._pipe.write(f"{state.dump(records)}\n".encode())

    def _hire(self) -> subprocess.Popen[bytes]:
        warden = subprocess.Popen(  # noqa: S603 (fixed words)
            WARDEN,
            bufsize=0,  # what was said is in the pipe, even if we are killed at once
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=SOURCES,
            start_new_session=True,
        )
        if warden.stdin is None:
            raise AssertionError("a pipe was asked for")
        self._pipe = warden.stdin
        return warden
