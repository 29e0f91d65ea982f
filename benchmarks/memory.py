"""How much memory this process has, looked at all the while by a thread."""

import threading
from pathlib import Path

_LOOK_S = 0.02
_STATUS = Path("/proc/self/status")  # Linux


class Memory:
    """Watches while it is open."""

    def __init__(self) -> None:
        self.most_mb = 0.0  # of its own, since the last ``renew``
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def renew(self) -> float:
        """Return the most that there was since the last call, and begin anew."""
        self.now()
        most, self.most_mb = self.most_mb, 0.0
        return most

    def now(self) -> tuple[float, float]:
        """Return the process's own memory and the pages of mapped files, in MB."""
        found = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        own, mapped = (int(found[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))
        self.most_mb = max(self.most_mb, own)
        return own, mapped

    def _watch(self) -> None:
        while not self._done.wait(_LOOK_S):
            self.now()
