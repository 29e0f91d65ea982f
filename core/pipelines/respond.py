"""The reply way: asks in, replies out, side by side in the running batch of their model."""

import json
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any, Protocol

import structlog

from core.decoding.engine import Ended, Engine, Event, Failed, Told
from core.errors import MalgilError, ReplyTimeoutError
from core.pipelines.bundle import Bundle
from core.pipelines.endings import answered, failed
from core.pipelines.opening import Opening
from core.pipelines.questions import Question, engine_of, question_of
from core.queue.messages import Ask, Reply
from core.specs import DecodeSpec
from core.specs.asking import lay_over
from core.text.stream import TextStream

log = structlog.get_logger()

WAIT_S = 0.005  # for a model that is being read, where nothing else is to be done

Send = Callable[[Sequence[tuple[Ask, Reply]]], None]  # hand replies to whoever waits for them


@dataclass(slots=True)
class _Course:
    """One model, and the asks that it is answering."""

    checkpoint: str
    engine: Engine[Any]


@dataclass(slots=True)
class _Asked:
    """An ask on its way."""

    ask: Ask
    arrived: float  # Unix seconds
    question: Question
    course: _Course
    stream: TextStream | None  # where pieces are wanted
    said: int = 0  # characters that have been sent as pieces

    def piece(self, text: str) -> list[tuple[Ask, Reply]]:
        """Return what sends ``text``, if there is any."""
        begins, self.said = self.said, self.said + len(text)
        return [(self.ask, Reply(id=self.ask.id, piece=text, begins=begins))] if text else []


class Shelf(Protocol):
    """Whatever has models by their checkpoint ids."""

    def known(self, checkpoint: str) -> Bundle | None:
        """Return the model, if it is in memory."""
        ...

    def get(self, checkpoint: str) -> Bundle:
        """Return the model, which may take its time; called in another thread."""
        ...


class Responder:
    """Answers asks with the models that they name: ``admit`` them, then ``step`` while ``busy``.

    Every ask gets one end. Those that name the same checkpoint share a running batch, whatever
    their other options; several models take their steps in turns. One thread owns it.
    """

    def __init__(
        self,
        *,
        models: Shelf,
        resolve: Callable[[str], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``resolve`` turns an alias or id into the checkpoint id of one of ``models``.

        ``clock`` gives Unix seconds.
        """
        self._models = models
        self._opening = Opening(models.get)
        self._resolve = resolve
        self._clock = clock
        self._courses: deque[_Course] = deque()  # who is next comes first
        self._asked: dict[int, _Asked] = {}
        self._keys: dict[str, int] = {}  # ask id -> key
        self._numbers = count()

    def warm_up(self, names: Sequence[str]) -> None:
        """Read the models called ``names`` before anybody asks; one that cannot be is left out."""
        for name in names:
            try:
                self._models.get(self._resolve(name))
            except MalgilError as error:
                log.warning("a model cannot be made ready", model=name, reason=str(error))

    @property
    def busy(self) -> bool:
        """Whether a step would do something."""
        return bool(self._asked) or len(self._opening) > 0

    @property
    def asks(self) -> int:
        """How many asks have no end yet."""
        return len(self._asked) + len(self._opening)

    def admit(self, asks: Sequence[tuple[Ask, float]], send: Send) -> None:
        """Take ``asks`` in, each with the Unix time of its arrival.

        What is wrong with one of them ends it here, as does a deadline that has passed. One whose
        model is not in memory waits until it is, and keeps nobody else waiting.
        """
        for ask, arrived in asks:
            try:
                self._admit(ask, arrived)
            except Exception as error:
                self._refuse([ask], error, send)

    def give_up(self, ids: Collection[str], send: Send, *, reason: str) -> None:
        """End the asks called ``ids``; those that are not known have ended, or are elsewhere."""
        for id_ in ids:
            key = self._keys.get(id_)
            if key is not None:
                self._asked[key].course.engine.cancel(key)
                send([self._ended(key, ReplyTimeoutError(reason))])
        self._refuse(self._opening.give_up(ids), ReplyTimeoutError(reason), send)
        self._drop_idle()

    def step(self, send: Send) -> None:
        """Take a step with the model whose turn it is, and send what came of it."""
        if len(self._opening):
            self._let_in(send)
        if not self._courses:
            return
        course = self._courses[0]
        self._courses.rotate(-1)
        try:
            told = [reply for event in course.engine.step() for reply in self._heard(event)]
        except Exception as error:  # none of one ask: the engine would have said so
            told = self._broken(course, error)
        if told:
            send(told)
        if course.engine.idle:
            self._courses.remove(course)

    def _admit(self, ask: Ask, arrived: float) -> None:
        if self._clock() >= ask.deadline:
            raise ReplyTimeoutError("the deadline passed while the ask was waiting")
        checkpoint = self._resolve(ask.model)
        bundle = self._models.known(checkpoint)
        if bundle is None:
            self._opening.wait_for(checkpoint, ask, arrived)
        else:
            self._begin(ask, arrived, checkpoint, bundle)

    def _let_in(self, send: Send) -> None:
        """Let those begin whose model is open now; wait for one a little, if nobody runs."""
        late = self._opening.late(self._clock())
        self._refuse(late, ReplyTimeoutError("the deadline passed while a model was read"), send)
        for checkpoint, opened, asks in self._opening.opened(0.0 if self._courses else WAIT_S):
            for ask, arrived in asks:
                try:
                    self._begin(ask, arrived, checkpoint, opened.result())
                except Exception as error:
                    self._refuse([ask], error, send)

    def _refuse(self, asks: Sequence[Ask], error: Exception, send: Send) -> None:
        """End ``asks``, which have not begun."""
        if asks:
            send([failed(ask, error) for ask in asks])

    def _begin(self, ask: Ask, arrived: float, checkpoint: str, bundle: Bundle) -> None:
        spec = _spec_of(bundle.plan.decode, json.dumps(ask.decode)) if ask.decode else None
        question = question_of(bundle, ask.turns, spec or bundle.plan.decode)
        course = self._course(checkpoint, bundle)
        key = next(self._numbers)
        try:
            course.engine.submit(
                question.request(key, priority=ask.priority, deadline=ask.deadline)
            )
        finally:
            self._drop_idle()
        stream = question.stream() if ask.stream else None
        self._asked[key] = _Asked(ask, arrived, question, course, stream)
        self._keys[ask.id] = key

    def _course(self, checkpoint: str, bundle: Bundle) -> _Course:
        for course in self._courses:
            if course.checkpoint == checkpoint:
                return course
        course = _Course(checkpoint, engine_of(bundle, clock=self._clock))
        self._courses.append(course)
        return course

    def _drop_idle(self) -> None:
        for course in [one for one in self._courses if one.engine.idle]:
            self._courses.remove(course)

    def _heard(self, event: Event) -> list[tuple[Ask, Reply]]:
        """Return what is to be sent because of ``event``."""
        asked = self._asked[event.key]
        match event:
            case Told(_, tokens):
                if asked.stream is None:
                    return []
                return asked.piece("".join(map(asked.stream.push, tokens)))
            case Ended():
                rest = asked.stream.flush() if asked.stream else ""
                return [*asked.piece(rest), self._answered(event)]
            case Failed(key, error):
                return [self._ended(key, error)]

    def _answered(self, end: Ended) -> tuple[Ask, Reply]:
        try:
            reply = self._reply(self._asked[end.key], end)
        except Exception as error:
            return self._ended(end.key, error)
        return answered(self._forget(end.key).ask, reply, began=end.began)

    def _reply(self, asked: _Asked, end: Ended) -> Reply:
        return Reply(
            id=asked.ask.id,
            candidates=tuple(
                asked.question.candidate(one, details=asked.ask.details) for one in end.hypotheses
            ),
            model_ms=(self._clock() - end.began) * 1e3,
            queue_ms=(end.began - asked.arrived) * 1e3,
            batch=end.company,
            tokens=len(end.hypotheses[0].tokens),
            checkpoint=asked.course.checkpoint,
        )

    def _ended(self, key: int, error: Exception) -> tuple[Ask, Reply]:
        return failed(self._forget(key).ask, error)

    def _broken(self, course: _Course, error: Exception) -> list[tuple[Ask, Reply]]:
        """End all asks of an engine that cannot go on."""
        keys = [key for key, asked in self._asked.items() if asked.course is course]
        for key in keys:
            course.engine.cancel(key)
        return [self._ended(key, error) for key in keys]

    def _forget(self, key: int) -> _Asked:
        asked = self._asked.pop(key)
        self._keys.pop(asked.ask.id, None)
        return asked


@lru_cache(maxsize=512)  # most asks of a client have the same options
def _spec_of(own: DecodeSpec, asked: str) -> DecodeSpec:
    return lay_over(own, json.loads(asked))
