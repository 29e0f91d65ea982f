"""Start everything on one machine, keep it running, end it in order."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Literal

from core.errors import MalgilError
from core.settings import Settings, socket_path
from services.embedded import state, valkey
from services.embedded.children import Child, base_url, children, environment, scratch_dir
from services.embedded.claims import held, with_port
from services.embedded.ledger import Ledger
from services.embedded.process import Process, rotate

HOPELESS = 3  # quick deaths in a row, while starting, after which waiting longer is no use


class StartError(MalgilError):
    """The installation did not come up; ``tail`` is the end of the log that says why."""

    def __init__(self, message: str, *, log: Path, tail: str) -> None:
        super().__init__(message)
        self.log = log
        self.tail = tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that happened to a child, for a screen or a log."""

    kind: Literal["orphan", "started", "died", "ended", "killed"]
    name: str
    pid: int
    where: str = ""
    text: str = ""
    tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient a supervisor is, in seconds."""

    first_wait_s: float = 1.0  # before a restart; doubled each time
    longest_wait_s: float = 30.0
    settled_s: float = 60.0  # a life this long makes earlier deaths forgotten
    quick_s: float = 5.0  # a life this short is told with the end of its log
    ready_s: float = 120.0  # for one tier to come up
    poll_s: float = 0.1


Tell = Callable[[Notice], None]


def ignore(notice: Notice) -> None:
    """Tell nobody."""
    del notice


@contextmanager
def embedded(
    settings: Settings,
    *,
    tell: Tell = ignore,
    table: Sequence[Child] | None = None,
    pace: Pace | None = None,
) -> Iterator[str]:
    """Run a whole installation; yields the base URL once the API is ready, ends all on leaving.

    Port 0 means any free one. ``table`` stands for the usual children. Raises ConflictError
    where the home or the port is taken, StartError where something does not come up.
    """
    with held(settings.home):
        end_orphans(settings, tell)
        settings = with_port(settings)
        rows = children(settings) if table is None else table
        supervisor = Supervisor(settings, rows, tell=tell, pace=pace)
        try:
            supervisor.start()
            yield base_url(settings)
        finally:
            supervisor.stop()
            if valkey.is_embedded(settings):
                socket_path(settings.home).unlink(missing_ok=True)  # a killed server leaves it


def end_orphans(settings: Settings, tell: Tell = ignore) -> None:
    """End what a supervisor of this home left behind when it was killed."""
    for left in state.end(state.read(settings.home)):
        tell(Notice(kind="orphan", name=left.name, pid=left.pid))
    if valkey.is_embedded(settings) and (pid := valkey.end_orphan(socket_path(settings.home))):
        tell(Notice(kind="orphan", name="valkey", pid=pid))
    state.forget(settings.home)


class Supervisor:
    """The one that starts the children, restarts those that die, and ends them in order.

    The thread that made it starts and stops; in between, a thread of its own keeps watch.
    """

    def __init__(
        self,
        settings: Settings,
        table: Sequence[Child],
        *,
        tell: Tell = ignore,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self._tell = tell
        self._starting = True
        self._ending = Event()
        self._watch = Thread(target=self._keep_watch, name="watch", daemon=True)
        logs = settings.home / "logs"
        shutil.rmtree(scratch_dir(settings), ignore_errors=True)  # of those killed last time
        for directory in (logs, valkey.data_dir(settings), scratch_dir(settings)):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        around = environment(settings)
        self._processes = [
            Process(child, log=logs / f"{child.name}.log", environment=around) for child in table
        ]
        self._ledger = Ledger(settings.home)

    def start(self) -> None:
        """Start tier by tier, each when the one before is ready; then keep watch.

        Raises StartError.
        """
        for process in self._processes:
            rotate(process.log)
        for tier in sorted({process.child.tier for process in self._processes}):
            for process in self._of(tier):
                self._start(process)
            self._wait_for(self._of(tier))
        self._starting = False
        self._watch.start()

    def stop(self) -> None:
        """End all, the highest tier first; who has not gone after its grace is killed."""
        self._ending.set()
        if self._watch.is_alive():
            self._watch.join()
        for tier in sorted({process.child.tier for process in self._processes}, reverse=True):
            asked_at = time.monotonic()
            alive = [process for process in self._of(tier) if process.alive]
            for process in alive:
                process.ask_to_end()
            for process in alive:
                killed = process.wait_or_kill(asked_at + process.child.grace_s)
                self._say("killed" if killed else "ended", process)
        self._ledger.close()

    def _of(self, tier: int) -> list[Process]:
        return [process for process in self._processes if process.child.tier == tier]

    def _wait_for(self, processes: list[Process]) -> None:
        deadline = time.monotonic() + self._pace.ready_s
        while missing := [(one, why) for one in processes if (why := self._missing(one))]:
            if time.monotonic() > deadline:
                process, why = missing[0]
                raise _start_error(process, f"is not ready after {self._pace.ready_s:g} s: {why}")
            time.sleep(self._pace.poll_s)
            self._tend()

    def _missing(self, process: Process) -> str:
        if process.child.once:
            return "it still runs" if process.alive else ""
        return process.child.lacking()

    def _tend(self) -> None:
        """Look at every child once; restart those that died, when their time has come."""
        for process in self._processes:
            code = process.reap()
            if code is not None:
                self._died(process, code)
            elif process.restart_at is not None and time.monotonic() >= process.restart_at:
                self._start(process)

    def _died(self, process: Process, code: int) -> None:
        if process.child.once:
            if code:
                raise _start_error(process, f"failed: {_ending(code)}")
            return
        life_s = time.monotonic() - process.started_at
        wait_s = self._put_off(process)
        if self._starting and process.deaths >= HOPELESS:
            raise _start_error(process, f"died {HOPELESS} times: {_ending(code)}")
        text = f"{_ending(code)} after {life_s:.0f} s; starts again in {wait_s:.0f} s"
        tail = process.tail() if life_s < self._pace.quick_s else ""
        self._say("died", process, text=text, tail=tail)

    def _put_off(self, process: Process) -> float:
        settled = time.monotonic() - process.started_at >= self._pace.settled_s
        process.deaths = 1 if settled else process.deaths + 1
        doubled_s = self._pace.first_wait_s * 2.0 ** min(process.deaths - 1, 16)
        wait_s = min(doubled_s, self._pace.longest_wait_s)
        process.restart_at = time.monotonic() + wait_s
        return wait_s

    def _start(self, process: Process) -> None:
        try:
            process.start()
        except OSError as error:
            if self._starting:
                raise _start_error(process, f"cannot be started: {error}") from error
            self._put_off(process)  # no memory, no space on the disk: either may come back
            self._say("died", process, text=f"cannot be started again: {error}")
            return
        with suppress(OSError):  # the disk is full; the warden knows all the same
            self._ledger.write([one.record for one in self._processes if one.record])
        self._say("started", process)

    def _keep_watch(self) -> None:
        while not self._ending.wait(self._pace.poll_s):
            self._tend()

    def _say(
        self,
        kind: Literal["started", "died", "ended", "killed"],
        process: Process,
        *,
        text: str = "",
        tail: str = "",
    ) -> None:
        name, where = process.child.name, process.child.where
        with suppress(OSError, ValueError):  # a screen that has gone must not end the watch
            self._tell(
                Notice(kind=kind, name=name, pid=process.pid, where=where, text=text, tail=tail)
            )


def _start_error(process: Process, problem: str) -> StartError:
    name = process.child.name
    return StartError(f"{name} {problem}", log=process.log, tail=process.tail())


def _ending(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
