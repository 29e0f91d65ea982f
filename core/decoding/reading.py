"""Sources that are read while others run: nobody stands still because somebody comes.

On a second core that costs the running batch half a step for each that it takes meanwhile, for two
threads share Python's lock; reading between two steps costs more. Who comes meanwhile is read next,
together with all others who did.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic

import torch

from core.decoding.requests import Request
from core.decoding.running import Opening, read_sources
from core.decoding.step import StateT, StepModel
from core.decoding.waiting import Room

FEW = 6  # who joins a batch is this part of it at least, if as many wait to join
HANDING_S = 0.0005  # reading that takes less is not worth a thread
ALONE = 512  # sources longer than this are read by themselves, and no others wait for them


class Reading(Generic[StateT]):
    """Requests whose sources are being read in threads of their own."""

    def __init__(self, model: StepModel[StateT], device: torch.device) -> None:
        self._model = model
        self._device = device
        self._together = ThreadPoolExecutor(1, thread_name_prefix="reader")  # start when needed
        self._long = ThreadPoolExecutor(1, thread_name_prefix="reader-of-long")
        self._under_way: dict[Future[list[Opening[StateT]]], list[Request]] = {}
        self._read: deque[Opening[StateT]] = deque()  # who waits to join
        self._seconds = 0.0  # that reading took the last time

    @property
    def requests(self) -> list[Request]:
        """Those who are being read, or have been and wait to join."""
        read = [one for opening in self._read for one in opening.requests]
        return read + [one for requests in self._under_way.values() for one in requests]

    @property
    def any_read(self) -> bool:
        """Whether somebody waits to join."""
        return bool(self._read)

    @property
    def slow(self) -> bool:
        """Whether reading takes longer than handing it to a thread."""
        return self._seconds > HANDING_S

    @property
    def full(self) -> bool:
        """Whether more would only have to wait for what is being read."""
        return any(not is_long(requests[0]) for requests in self._under_way.values())

    def read(self, requests: Sequence[Request]) -> list[Opening[StateT]]:
        """Read the sources of ``requests`` now."""
        began = time.perf_counter()
        openings = read_sources(self._model, requests, self._device)
        self._seconds = time.perf_counter() - began
        return openings

    def begin(self, requests: Sequence[Request]) -> None:
        """Have the sources of ``requests`` read: long ones one by one, the others together."""
        short = [request for request in requests if not is_long(request)]
        if short:
            self._submit(self._together, short)
        for request in requests:
            if is_long(request):
                self._submit(self._long, [request])

    def wait(self, seconds: float) -> None:
        """Wait until somebody has been read, if anybody is being read."""
        if self._under_way:
            wait(self._under_way, timeout=seconds, return_when=FIRST_COMPLETED)

    def failed(self) -> list[tuple[list[Request], BaseException]]:
        """Return who could not be read; who could waits to join from now on."""
        failed = []
        for one in [one for one in self._under_way if one.done()]:
            requests = self._under_way.pop(one)
            if error := one.exception():
                failed.append((requests, error))
            else:
                self._read.extend(one.result())
        return failed

    def joining(self, room: Room, *, running: int) -> Iterator[Opening[StateT]]:
        """Return who has been read and fits, but of many not a few at a time.

        Joining costs a large batch as much for one as for several.
        """
        least = running // FEW
        while self._read:
            opening = self._read.popleft()
            fitting = room.fitting(opening.requests, whatever=not running)
            if fitting < min(least, len(opening.requests)) or not fitting:
                self._read.appendleft(opening)
                return
            if fitting < len(opening.requests):
                opening, rest = opening.split(self._model, fitting)
                self._read.appendleft(rest)
            running += fitting
            yield opening

    def _submit(self, thread: ThreadPoolExecutor, requests: list[Request]) -> None:
        self._under_way[thread.submit(self.read, requests)] = requests


def is_long(request: Request) -> bool:
    """Return whether reading the source of ``request`` takes so long that nobody waits for it."""
    return len(request.source) > ALONE
