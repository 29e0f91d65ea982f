"""Models that are opened aside: who asks for one waits, and nobody else does."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from core.pipelines.bundle import Bundle
from core.queue.messages import Ask

Asks = list[tuple[Ask, float]]  # each with the Unix time of its arrival


@dataclass(slots=True)
class _Door:
    """One checkpoint that is being opened, and who waits before it."""

    bundle: Future[Bundle]
    asks: Asks = field(default_factory=list)


class Opening:
    """Opens models in a thread of its own, one after the other. One thread owns it."""

    def __init__(self, open_: Callable[[str], Bundle]) -> None:
        """``open_`` returns the bundle of a checkpoint, and takes its time."""
        self._open = open_
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="opener")  # starts when needed
        self._doors: dict[str, _Door] = {}

    def __len__(self) -> int:
        return sum(len(door.asks) for door in self._doors.values())

    def wait_for(self, checkpoint: str, ask: Ask, arrived: float) -> None:
        """Let ``ask``, which has ``arrived`` at that time, wait until ``checkpoint`` is open."""
        if checkpoint not in self._doors:
            self._doors[checkpoint] = _Door(self._thread.submit(self._open, checkpoint))
        self._doors[checkpoint].asks.append((ask, arrived))

    def opened(self, wait_s: float) -> Iterator[tuple[str, Future[Bundle], Asks]]:
        """Yield each checkpoint that is open, or cannot be, and who waited for it.

        Waits itself for the first of them, ``wait_s`` at most.
        """
        if not self._doors:
            return
        doors = {door.bundle for door in self._doors.values()}
        if wait_s:
            wait(doors, timeout=wait_s, return_when=FIRST_COMPLETED)
        for checkpoint in [name for name, door in self._doors.items() if door.bundle.done()]:
            door = self._doors.pop(checkpoint)
            yield checkpoint, door.bundle, door.asks

    def give_up(self, ids: Collection[str]) -> list[Ask]:
        """Let the asks called ``ids`` wait no longer; returns those that did."""
        given_up = []
        for door in self._doors.values():
            given_up += [ask for ask, _ in door.asks if ask.id in ids]
            door.asks = [one for one in door.asks if one[0].id not in ids]
        self._doors = {name: door for name, door in self._doors.items() if door.asks}
        return given_up

    def late(self, now: float) -> list[Ask]:
        """Give up those whose deadline, in Unix seconds, has passed, and return them."""
        waiting = [ask for door in self._doors.values() for ask, _ in door.asks]
        late = {ask.id for ask in waiting if ask.deadline <= now}
        return self.give_up(late) if late else []
