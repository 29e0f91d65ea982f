"""Somebody who kills from a seed while the test goes on."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.acceptance.processes import Program

AGAIN_S = 0.2  # after nobody could be killed

Kill = Callable[[], bool]  # kill it; returns whether there was anybody to be killed
Pauses = Callable[[random.Random], float]


def killed_and_started(
    program: Program, *, children: bool = False, when: Callable[[], bool] = lambda: True
) -> Kill:
    """Kill a program, alone or with all that it started, and start it again at once."""

    def kill() -> bool:
        if not when():
            return False
        if children:
            program.kill_all()
        else:
            program.kill()
        program.start()
        return True

    return kill


class Killer:
    """Takes one victim after the other in a thread, until it is told that it is enough."""

    def __init__(
        self, victims: Mapping[str, Kill], *, pauses: Pauses, seed: int, limit: int | None = None
    ) -> None:
        """``pauses`` draws the seconds from one kill to the next; ``limit`` kills are enough."""
        self.killed: Counter[str] = Counter()
        self._victims = victims
        self._pauses = pauses
        self._limit = limit
        self._chance = random.Random(seed)
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._live, name="killer")

    def __str__(self) -> str:
        each = ", ".join(f"{name} {count}" for name, count in sorted(self.killed.items()))
        return f"{self.killed.total()} kills -9 ({each})"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Kill no more; what went wrong with killing fails the test."""
        self._over.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _live(self) -> None:
        try:
            while self.killed.total() != self._limit:
                if self._over.wait(self._pauses(self._chance)):
                    return
                while not (name := self._kill()) and not self._over.wait(AGAIN_S):
                    pass
                self.killed.update([name] if name else [])
        except Exception as failure:
            self._failure = failure

    def _kill(self) -> str:
        """Kill one of the victims and return which; empty if it was not there."""
        name = self._chance.choice(sorted(self._victims))
        return name if self._victims[name]() else ""


@contextmanager
def killing(
    victims: Mapping[str, Kill], *, pauses: Pauses, seed: int, limit: int | None = None
) -> Iterator[Killer]:
    """Have a Killer at work until the block is left."""
    killer = Killer(victims, pauses=pauses, seed=seed, limit=limit)
    killer.start()
    try:
        yield killer
    finally:
        killer.stop()
