"""``malgil up`` as a process, in a home of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from core.settings import socket_path
from services.embedded.census import look
from tests.acceptance.processes import wait_until

MALGIL = (sys.executable, "-m", "services.cli.main")


@dataclass
class Installation:
    """One run of ``malgil up``, what it said and who runs."""

    process: subprocess.Popen[str]
    home: Path
    url: str = ""
    pids: dict[str, int] = field(default_factory=dict)

    def ready(self) -> bool:
        """Whether everything that is needed is there."""
        try:
            return httpx.get(f"{self.url}/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def run(self, *words: str, timeout_s: float = 300.0) -> Any:
        """Run a command against it and return the last line of JSON that it prints."""
        ran = subprocess.run(
            [*MALGIL, *words, "--json"],
            env={**os.environ, "MALGIL_HOME": str(self.home), "MALGIL_API_URL": self.url},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return json.loads(ran.stdout.splitlines()[-1])

    def hear(self, until: str) -> None:
        """Take in what it says, until it says that."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            if told["event"] == "started":
                self.pids[told["name"]] = told["pid"]
            self.url = told.get("url", self.url)
            if told["event"] == until:
                return
        raise AssertionError(f"it ended before it said {until!r}")

    def alive(self) -> list[str]:
        """Who of its children is alive."""
        return [name for name, pid in self.pids.items() if look(pid)]


@contextmanager
def home() -> Iterator[Path]:
    """An empty home; pytest's folders make paths too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="malgil-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def up(home: Path) -> Iterator[Installation]:
    """Run everything until the block is left; then there must be nothing left of it."""
    command = [*MALGIL, "up", "--json", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        installation = Installation(process, home)
        try:
            installation.hear("ready")
            yield installation
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=60)
    wait_until(lambda: not installation.alive(), timeout_s=30)
    if process.returncode != -signal.SIGKILL:
        assert process.returncode == 0
        assert not socket_path(home).exists()
