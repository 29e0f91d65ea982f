"""Sources that are read while others run: nobody stands still because somebody comes.

Reading is one long product after another, and leaves Python alone meanwhile: on a second core it
costs the running batch next to nothing, and those who come meanwhile are read together next.
"""

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic

import torch

from core.decoding.requests import Request
from core.decoding.running import Opening, read_sources
from core.decoding.step import StateT, StepModel

LONG = 512  # sources longer than this are read by themselves, and no others wait for them

_PAUSE_S = 0.05  # how long reading is waited for where nothing runs


class Reading(Generic[StateT]):
    """Requests whose sources are being read in threads of their own."""

    def __init__(self, model: StepModel[StateT], device: torch.device) -> None:
        self._model = model
        self._device = device
        self._together = ThreadPoolExecutor(1, thread_name_prefix="reader")  # start when needed
        self._long = ThreadPoolExecutor(1, thread_name_prefix="reader-of-long")
        self._under_way: dict[Future[list[Opening[StateT]]], list[Request]] = {}

    @property
    def requests(self) -> list[Request]:
        """Those who are being read, or wait to join."""
        return [one for requests in self._under_way.values() for one in requests]

    @property
    def full(self) -> bool:
        """Whether more would only have to wait for what is being read."""
        return any(not is_long(requests[0]) for requests in self._under_way.values())

    def begin(self, requests: Sequence[Request]) -> None:
        """Have the sources of ``requests`` read: long ones one by one, the others together."""
        short = [request for request in requests if not is_long(request)]
        if short:
            self._submit(self._together, short)
        for request in requests:
            if is_long(request):
                self._submit(self._long, [request])

    def done(
        self, *, patient: bool
    ) -> list[tuple[list[Request], list[Opening[StateT]] | BaseException]]:
        """Return who has been read, and what came of it; ``patient``: wait for one, for a while."""
        if patient and self._under_way:
            wait(self._under_way, timeout=_PAUSE_S, return_when=FIRST_COMPLETED)
        return [
            (self._under_way.pop(one), one.exception() or one.result())
            for one in list(self._under_way)
            if one.done()
        ]

    def _submit(self, thread: ThreadPoolExecutor, requests: list[Request]) -> None:
        read = thread.submit(read_sources, self._model, requests, self._device)
        self._under_way[read] = requests


def is_long(request: Request) -> bool:
    """Return whether reading the source of ``request`` takes so long that nobody waits for it."""
    return len(request.source) > LONG
