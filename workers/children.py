"""The process that works on one attempt at a job, as its worker sees it."""

import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from core.storage.tables import Job
from workers.child import GO, READY

TAIL_BYTES = 2000  # of a dead child's last words
DISMISS_S = 10.0  # how long one that is sent away may take


class Child:
    """A child with a scratch directory of its own, which goes with it."""

    def __init__(self, job_id: UUID, attempt: int, *, waits: bool = False) -> None:
        """One that ``waits`` gets everything ready, and begins when it is told to ``go``."""
        self.attempt = attempt
        self._job_id = job_id
        self._scratch = tempfile.TemporaryDirectory(prefix="malgil-job-")
        self._words = Path(self._scratch.name) / "child.log"
        command = [sys.executable, "-m", "workers.child", *([READY] if waits else [])]
        command += [str(job_id), str(attempt), self._scratch.name]
        with self._words.open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603 (our own module)
                command,
                stdin=subprocess.PIPE if waits else subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def is_for(self, job: Job) -> bool:
        """Whether it was made ready for this attempt, and is still there."""
        same = (self._job_id, self.attempt) == (job.id, job.attempt)
        return same and self._process.poll() is None

    def go(self) -> None:
        """Let one that waits begin."""
        self._say(GO)

    def poll(self) -> int | None:
        """Return how it ended, as ``subprocess`` puts it; None while it works."""
        return self._process.poll()

    def terminate(self) -> None:
        """Have it save what it has, give the job back and leave."""
        self._process.terminate()

    def tail(self) -> str:
        """Return its last words."""
        return self._words.read_bytes()[-TAIL_BYTES:].decode(errors="replace")

    def close(self) -> None:
        """Forget it; one that still waits is sent away."""
        self._say(b"")
        try:
            self._process.wait(timeout=DISMISS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._scratch.cleanup()

    def _say(self, word: bytes) -> None:
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            with suppress(BrokenPipeError):  # it died: whoever watches it will see that
                pipe.write(word)
                pipe.close()
