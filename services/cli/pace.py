"""How far one is with lines, and how fast."""

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from services.cli.screen import Screen, duration

TELL_S = (0.5, 10.0)  # how often one is told: on a terminal, and elsewhere


class Pace:
    """Tells on standard error how far it is, how fast, and how long it will take."""

    def __init__(self, total: int | None, done: int, screen: Screen) -> None:
        self._total = total
        self._skipped = self._done = done
        self._screen = screen
        live = screen.err.is_terminal and not screen.as_json
        self._status = screen.err.status("opening the model") if live else None
        self._every = TELL_S[0 if live else 1]
        self._began = self._told = time.monotonic()

    def shown(self) -> AbstractContextManager[Any]:
        """Return what is open while there is something to see."""
        self._began = self._told = time.monotonic()
        return self._status or nullcontext()

    def step(self) -> None:
        """Count a line."""
        self._done += 1
        now = time.monotonic()
        if now - self._told < self._every:
            return
        self._told = now
        if self._status is not None:
            self._status.update(self._figures(now))
        elif not self._screen.as_json:
            self._screen.err.print(self._figures(now), soft_wrap=True)

    def tell_the_end(self, path: Path | None) -> None:
        """Sum up."""
        took = time.monotonic() - self._began
        lines_ = self._done - self._skipped
        if self._screen.as_json:
            if path is not None:
                told = {"out": str(path), "lines": self._done, "new": lines_}
                self._screen.line({**told, "seconds": round(took, 3)})
            return
        what = f"{lines_:,} lines in {duration(took)} ({lines_ / max(took, 1e-9):.1f} lines/s)"
        self._screen.err.print(f"{path}: {what}" if path else what, soft_wrap=True)

    def _figures(self, now: float) -> str:
        rate = (self._done - self._skipped) / max(now - self._began, 1e-9)
        if self._total is None:
            return f"{self._done:,} lines, {rate:.1f} lines/s"
        left = duration((self._total - self._done) / max(rate, 1e-9))
        return f"{self._done:,} of {self._total:,} lines, {rate:.1f} lines/s, {left} left"
