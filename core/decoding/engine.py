"""The engine: requests come and go between two steps of a running batch.

One thread owns it: it submits, cancels, and calls ``step`` until nothing is left.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Generic

import structlog
import torch

from core.decoding.events import Ended, Event, Failed, Told
from core.decoding.reading import Reading, is_long
from core.decoding.requests import Request, refuse_impossible, with_whole_beam
from core.decoding.rescoring import question, without_the_generic
from core.decoding.running import Opening, RunningBatch, ended_by, told_by
from core.decoding.step import Hypothesis, StateT, StepModel
from core.decoding.waiting import Room, Waiting
from core.errors import MalgilError, ReplyTimeoutError

__all__ = ["Ended", "Engine", "Event", "Failed", "Request", "Told"]

log = structlog.get_logger()

MAX_LINES = 256
MAX_TOKENS = 1 << 17
LONG = 256  # sources longer than this run beside their like only: 256, 1024, 4096 ...

AHEAD = 4  # this part of all lines is read before there is room for them
_PAUSE_S, _LONG_PAUSE_S = 0.005, 0.05  # where nothing runs, how long reading is waited for

_CPU = torch.device("cpu")


@dataclass(slots=True)
class _Course:
    """How far a request has come; beginning anew changes nothing of it but ``heard``."""

    request: Request
    told: int = 0  # tokens that have been told
    heard: int = 0  # tokens that have become certain since it last began
    began: float = math.nan
    company: int = 0
    ranked: tuple[int, list[Hypothesis]] | None = None  # whose beam is ranked anew; and the beam


class Engine(Generic[StateT]):
    """Decodes whatever is submitted, with as many requests side by side as fit.

    What a request gets does not depend on its company. Where a step fails, the requests of that
    batch begin anew in halves until the one at fault is alone; nothing is told twice.
    """

    def __init__(
        self,
        model: StepModel[StateT],
        *,
        device: torch.device = _CPU,
        max_lines: int = MAX_LINES,
        max_tokens: int = MAX_TOKENS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """At most ``max_lines`` lines run, whose requests hold ``max_tokens`` tokens at most.

        A request that is larger than that runs alone. Deadlines are in seconds of ``clock``.
        """
        self._model = model
        self._device = device
        self._max_lines = max_lines
        self._max_tokens = max_tokens
        self._clock = clock
        self._courses: dict[int, _Course] = {}
        self._waiting = Waiting()
        self._batches: list[tuple[int, RunningBatch[StateT]]] = []  # with the class of its sources
        self._inner = count(-1, -1)  # keys of what the engine asks itself
        self._reading = Reading(model, device)
        self._deadline = math.inf  # the earliest

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._courses

    @property
    def waiting(self) -> int:
        """How many requests have not begun."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many requests take the next step."""
        return sum(len(batch.requests) for _, batch in self._batches)

    def submit(self, request: Request) -> None:
        """Take ``request``; its key is its own among all that are on their way.

        Raises InputError for what is asked for and cannot be had of this model.
        """
        refuse_impossible(request, self._model)
        self._courses[request.key] = _Course(request)
        if request.deadline is not None:
            self._deadline = min(self._deadline, request.deadline)
        self._waiting.put(with_whole_beam(request))

    def cancel(self, key: int) -> None:
        """Forget a request, waiting or running; nothing more is told of it."""
        if self._courses.pop(key, None) is None:
            return
        gone = {key}
        for inner, course in list(self._courses.items()):
            if course.ranked and course.ranked[0] == key:
                del self._courses[inner]
                gone.add(inner)
        self._waiting.forget(gone)
        for _, batch in self._batches:
            if held := gone & batch.requests.keys():
                batch.leave(held)

    def step(self) -> list[Event]:
        """Let in what waits and fits, then every running request take one step."""
        if not self._batches:
            self._reading.wait(_PAUSE_S if self._waiting else _LONG_PAUSE_S)
        events: list[Event] = []
        self._expire(events)
        self._admit(events)
        for size, batch in list(self._batches):
            company = len(batch.requests)
            for key in batch.requests:
                self._courses[key].company = max(self._courses[key].company, company)
            try:
                advances = batch.step()
            except Exception as error:
                self._batches.remove((size, batch))
                self._divide(list(batch.requests.values()), error, events)
                continue
            for key, tokens in told_by(advances):
                self._tell(key, tokens, events)
            for key, hypotheses in ended_by(advances):
                self._end(key, hypotheses, events)
        self._batches = [one for one in self._batches if one[1].requests]
        return events

    def _expire(self, events: list[Event]) -> None:
        """Give up requests whose deadline has passed."""
        now = self._clock()
        if now < self._deadline:
            return
        due = {key: course.request.deadline for key, course in self._courses.items()}
        for key, deadline in due.items():
            if deadline is not None and deadline <= now:
                self.cancel(key)
                events.append(Failed(key, ReplyTimeoutError("the deadline passed")))
        left = (course.request.deadline for course in self._courses.values())
        self._deadline = min((one for one in left if one is not None), default=math.inf)

    def _admit(self, events: list[Event]) -> None:
        """Let in who has been read, and have those read who wait and fit, or will soon."""
        for requests, error in self._reading.failed():
            self._divide(requests, error, events)
        if self._reading.any_read:
            running = self._running()
            for opening in self._reading.joining(self._room(running), running=len(running)):
                self._let_in(opening, events)
        if not self._waiting or self._reading.full:
            return
        running = self._running()
        room = self._room(running + self._reading.requests)
        if running:
            room.lines += self._max_lines // AHEAD
        taken = self._waiting.take(room, running=len(running))
        for request in taken:
            self._courses[request.key].began = self._clock()
        if (running and self._reading.slow) or any(is_long(one) for one in taken):
            self._reading.begin(taken)
        elif taken:
            self._begin(taken, events)

    def _running(self) -> list[Request]:
        return [one for _, batch in self._batches for one in batch.requests.values()]

    def _room(self, held: Sequence[Request]) -> Room:
        """Return what is left beside ``held``."""
        return Room(
            self._max_lines - sum(one.opening for one in held),
            self._max_tokens - sum(one.tokens for one in held),
        )

    def _begin(self, requests: list[Request], events: list[Event], *, apart: bool = False) -> None:
        """Read the sources of ``requests`` and let them join; ``apart`` from all others."""
        try:
            openings = self._reading.read(requests)
        except Exception as error:
            self._divide(requests, error, events)
            return
        batch = RunningBatch(self._model, self._device) if apart else None
        for opening in openings:
            self._let_in(opening, events, batch)

    def _let_in(
        self,
        opening: Opening[StateT],
        events: list[Event],
        batch: RunningBatch[StateT] | None = None,
    ) -> None:
        """Let ``opening`` join; where that fails, what joined before it runs on."""
        try:
            self._join(opening, batch)
        except Exception as error:
            self._divide(opening.requests, error, events)

    def _join(self, opening: Opening[StateT], batch: RunningBatch[StateT] | None) -> None:
        """Let ``opening`` join ``batch``, or the one for sources of its length."""
        if batch is None:
            size = _length_class(max(len(one.source) for one in opening.requests))
            batch = next((one for known, one in self._batches if known == size), None)
            if batch is None:
                batch = RunningBatch(self._model, self._device)
                self._batches.append((size, batch))
        elif not batch.requests:
            self._batches.append((-1, batch))  # nobody joins it
        batch.join(opening)
        if gone := {one.key for one in opening.requests} - self._courses.keys():
            batch.leave(gone)  # who was cancelled while being read
        for request in opening.requests:
            if request.key not in gone:
                self._courses[request.key].heard = 0

    def _divide(
        self, requests: Sequence[Request], error: BaseException, events: list[Event]
    ) -> None:
        """Begin anew in halves after a failure, until the request at fault is alone and fails."""
        requests = [one for one in requests if one.key in self._courses]  # others were cancelled
        if len(requests) == 1:
            self._fail(requests[0].key, error, events)
        elif requests:
            log.warning("a batch begins anew", requests=len(requests), reason=repr(error))
            middle = len(requests) // 2
            for half in (requests[:middle], requests[middle:]):
                self._begin(half, events, apart=True)

    def _tell(self, key: int, tokens: Sequence[int], events: list[Event]) -> None:
        """Tell what is new of ``tokens``, which have become certain."""
        course = self._courses[key]
        new = tuple(tokens[max(course.told - course.heard, 0) :])
        course.heard += len(tokens)
        if new and not course.request.wish.spec.anti_generic:
            course.told += len(new)
            events.append(Told(key, new))

    def _end(self, key: int, hypotheses: list[Hypothesis], events: list[Event]) -> None:
        course = self._courses[key]
        spec = course.request.wish.spec
        if not hypotheses:
            reason = "the model's numbers are not finite on this input"
            self._fail(key, MalgilError(reason), events)
        elif course.ranked is not None:
            del self._courses[key]
            parent, beam = course.ranked
            wished = self._courses[parent].request.wish.spec
            ranked = without_the_generic(beam, hypotheses, wished)
            self._answer(parent, ranked[: wished.n_best], events)
        elif spec.anti_generic:
            asked = question(next(self._inner), course.request, hypotheses)
            self._courses[asked.key] = _Course(asked, ranked=(key, hypotheses))
            self._waiting.put(asked)
        else:
            self._answer(key, hypotheses, events)

    def _answer(self, key: int, hypotheses: list[Hypothesis], events: list[Event]) -> None:
        course = self._courses.pop(key)
        if rest := hypotheses[0].tokens[course.told :]:
            events.append(Told(key, rest))
        events.append(Ended(key, hypotheses, course.began, course.company))

    def _fail(self, key: int, error: BaseException, events: list[Event]) -> None:
        """End a request without an answer; one that the engine asked itself ends who asked."""
        course = self._courses.pop(key)
        if course.ranked is not None:
            key = course.ranked[0]
            del self._courses[key]
        if not isinstance(error, Exception):
            raise error
        events.append(Failed(key, error))


def _length_class(length: int) -> int:
    """Return the bound of the class of sources that those of ``length`` run beside."""
    bound = LONG
    while bound < length:
        bound *= 4
    return bound
