"""Requests that have not begun: the most urgent first, and not before they fit."""

import heapq
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count

from core.decoding.requests import Request

COMPANY = 3  # who runs are so many times those who wait: reading them apart is too dear ...
PATIENCE = 8  # ... until somebody has waited so many steps for company


@dataclass(slots=True)
class Room:
    """What can be held beside what is held already."""

    lines: int
    tokens: int

    def takes(self, request: Request, *, whatever: bool) -> bool:
        """Give room to ``request`` if it fits, or ``whatever`` its size; return whether it did."""
        fits = request.opening <= self.lines and request.tokens <= self.tokens
        if fits or whatever:
            self.lines -= request.opening
            self.tokens -= request.tokens
        return fits or whatever

    def fitting(self, requests: Sequence[Request], *, whatever: bool) -> int:
        """Give room to the first of ``requests``, and return how many had it.

        ``whatever``: to the very first whatever its size.
        """
        for number, request in enumerate(requests):
            if not self.takes(request, whatever=whatever and not number):
                return number
        return len(requests)


class Waiting:
    """A queue by priority, then by arrival."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Request]] = []
        self._order = count()
        self._steps = 0  # that somebody waited and nobody was let in

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, request: Request) -> None:
        """Take ``request`` in, behind those that are as urgent."""
        heapq.heappush(self._heap, (request.priority, next(self._order), request))

    def forget(self, keys: Collection[int]) -> None:
        """Drop the requests called ``keys``."""
        self._heap = [one for one in self._heap if one[2].key not in keys]
        heapq.heapify(self._heap)

    def take(self, room: Room, *, running: int) -> list[Request]:
        """Return who may begin now: the most urgent, as long as the next one fits.

        Nobody overtakes one that does not fit, so it is not passed over for ever; where nothing
        runs, it begins whatever its size. Reading several sources costs little more than reading
        one: beside a large batch those who come wait a few steps for each other.
        """
        self._steps += 1
        if len(self._heap) * COMPANY < running and self._steps <= min(PATIENCE, running // 4):
            return []
        self._steps = 0
        taken: list[Request] = []
        while self._heap and room.takes(self._heap[0][2], whatever=not (running or taken)):
            taken.append(heapq.heappop(self._heap)[2])
        return taken
