"""Decoding without a queue: texts in, candidates out, in the running batch of an engine."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from core.decoding.engine import Ended, Engine, Event, Failed, Told
from core.errors import DataError, InputError, MalgilError
from core.pipelines.bundle import Bundle
from core.pipelines.questions import Question, engine_of, question_of
from core.queue.messages import Candidate
from core.specs import DecodeSpec

Asked = tuple[Sequence[str], DecodeSpec] | InputError | None  # turns and spec; or what is wrong
OnPiece = Callable[[int, str], None]  # (row, text): more text of this row is certain

WINDOW = 512  # questions that are sorted by length together


def decode_batch(
    bundle: Bundle,
    contexts: Sequence[Sequence[str]],
    specs: Sequence[DecodeSpec],
    on_piece: OnPiece | None = None,
    *,
    details: bool = False,
) -> list[list[Candidate]]:
    """Answer each of ``contexts`` (turns, oldest first) by its own spec; best candidate first.

    A language model does not answer but goes on: what it says comes after the last turn.
    ``on_piece`` hears (row, text) as the text of a row becomes certain, piece by piece. Raises
    what is wrong with the first row that fails.
    """
    questions = [
        question_of(bundle, turns, spec) for turns, spec in zip(contexts, specs, strict=True)
    ]
    engine = engine_of(bundle)
    for row, question in enumerate(questions):
        engine.submit(question.request(row))
    streams = [question.stream() for question in questions] if on_piece else []

    def tell(row: int, text: str) -> None:
        if on_piece and text:
            on_piece(row, text)

    answers: dict[int, list[Candidate]] = {}
    for event in _events(engine):
        match event:
            case Told(row, tokens) if streams:
                tell(row, "".join(map(streams[row].push, tokens)))
            case Ended(row, found):
                if streams:
                    tell(row, streams[row].flush())
                answers[row] = [questions[row].candidate(one, details=details) for one in found]
    return [answers[row] for row in range(len(questions))]


def decode_each(
    bundle: Bundle,
    asked: Iterable[Asked],
    *,
    details: bool = False,
    first: int = 1,
) -> Iterator[list[Candidate]]:
    """Answer however many are ``asked``, in their order; nothing gets no candidates.

    Sources of a like length run side by side, and memory does not grow. What is wrong with one is
    raised as a DataError, by its number from ``first`` on, once all before it have been answered.
    """
    return _Row(bundle, asked, details=details, first=first).answers()


class _Row:
    """Questions that wait for their turn to be answered in order."""

    def __init__(
        self,
        bundle: Bundle,
        asked: Iterable[Asked],
        *,
        details: bool,
        first: int,
    ) -> None:
        self._bundle = bundle
        self._asked = enumerate(asked, start=first)
        self._details = details
        self._next = first  # whose answer is handed out next
        self._engine = engine_of(bundle)
        self._questions: dict[int, Question] = {}
        self._done: dict[int, list[Candidate] | Exception] = {}

    def answers(self) -> Iterator[list[Candidate]]:
        """Yield the candidates of each."""
        while self._read_ahead():
            for event in self._engine.step():
                self._hear(event)
            while self._next in self._done:
                found = self._done.pop(self._next)
                if isinstance(found, Exception):
                    raise _of_line(self._next, found)
                yield found
                self._next += 1

    def _read_ahead(self) -> bool:
        """Give the engine another window of questions when it runs short; False at the end."""
        if self._engine.waiting >= WINDOW // 2:
            return True
        window: list[tuple[int, Question]] = []
        for number, asked in islice(self._asked, WINDOW):
            if asked is None:
                self._done[number] = []
                continue
            try:
                window.append((number, self._question(asked)))
            except InputError as error:
                self._done[number] = error
                self._asked = enumerate(())  # nothing after it will be handed out
                break
        window.sort(key=lambda one: -len(one[1].source))
        for number, question in window:
            self._submit(number, question)
        return bool(self._questions or self._done)

    def _question(self, asked: tuple[Sequence[str], DecodeSpec] | InputError) -> Question:
        if isinstance(asked, InputError):
            raise asked
        return question_of(self._bundle, *asked)

    def _submit(self, number: int, question: Question) -> None:
        try:
            self._engine.submit(question.request(number))
            self._questions[number] = question
        except InputError as error:
            self._done[number] = error

    def _hear(self, event: Event) -> None:
        match event:
            case Ended(number, found):
                question = self._questions.pop(number)
                self._done[number] = [
                    question.candidate(one, details=self._details) for one in found
                ]
            case Failed(number, error):
                del self._questions[number]
                self._done[number] = error


def _events(engine: Engine[Any]) -> Iterator[Event]:
    """Yield what ``engine`` tells until all is done; raises what the first to fail, fails with."""
    while not engine.idle:
        for event in engine.step():
            if isinstance(event, Failed):
                raise event.error
            yield event


def _of_line(number: int, error: Exception) -> Exception:
    if not isinstance(error, MalgilError):
        return error
    return DataError("A line cannot be answered.", lines=[(number, str(error))])
