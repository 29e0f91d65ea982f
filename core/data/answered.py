"""From what a file says of a passage to the passage: an answer stands where it is said to stand."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.data.examples import AnsweredQuestion, Passage
from core.data.spans import Span
from core.data.values import NoExampleError, text_in

_LONE = dict.fromkeys(range(55296, 57344), "�")  # halves of surrogate pairs


@dataclass(slots=True)
class Tally:
    """What was found while passages were read."""

    passages: int = 0
    questions: int = 0  # kept, with an answer or rightly without
    unanswerable: int = 0  # of them: those that the context does not answer
    answers: int = 0  # kept
    mended: int = 0  # of them: those that stood elsewhere, in one place
    bad: int = 0  # left out: that stand nowhere, or in several places and not where it is said


@dataclass(frozen=True, slots=True)
class ReadPassage:
    """A passage, if there is one, and what of it could not be read."""

    passage: Passage | None
    problems: tuple[str, ...] = ()


def passage_of(value: Any, tally: Tally, *, title: str | None = None) -> ReadPassage:
    """Return the passage that ``value`` describes, with the names of SQuAD or with ours.

    Ours are ``title``, ``context`` and ``questions``, each a ``question`` with ``answers`` of
    ``start`` and ``end`` in characters, and the ``text`` if that is to be checked. SQuAD's are
    ``context`` and ``qas``, with answers of ``text`` and ``answer_start``, where ``title`` is
    that of the article.

    An answer that does not stand at its offset is put where it does if that is one place only;
    else it is left out, and a question that loses all its answers with it.
    """
    try:
        context = _context_of(value)
        name = "qas" if "qas" in value else "questions"
        asked = _array(value, name)
        title = text_in(value["title"], "the title") if value.get("title") else title or ""
    except NoExampleError as error:
        tally.bad += 1
        return ReadPassage(None, (str(error),))
    problems: list[str] = []
    questions = []
    for number, one in enumerate(asked):
        found = _question_of(one, context, tally, f"{name}[{number}]", problems)
        if found is not None:
            questions.append(found)
    tally.passages += 1
    tally.questions += len(questions)
    return ReadPassage(Passage(title, context, tuple(questions)), tuple(problems))


def only_place(context: str, text: str) -> int | None:
    """Return where ``text`` stands in ``context``, if it stands there exactly once."""
    first = context.find(text)
    return None if first < 0 or context.find(text, first + 1) >= 0 else first


def _context_of(value: Any) -> str:
    """Return the context as it is, for offsets count its characters; it must not be empty."""
    text_in(_object(value).get("context"), "the context")
    context: str = value["context"]
    return context.translate(_LONE)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NoExampleError("is not an object")
    return value


def _array(value: dict[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    if not isinstance(found, list):
        raise NoExampleError(f"{name} is not an array")
    return found


def _question_of(
    value: Any, context: str, tally: Tally, where: str, problems: list[str]
) -> AnsweredQuestion | None:
    """Return the question with the answers that stand, or None and say in ``problems`` why."""
    try:
        question = text_in(_object(value).get("question"), "the question")
        told = [] if value.get("is_impossible") is True else _array(value, "answers")
    except NoExampleError as error:
        tally.bad += 1
        problems.append(f"{where}: {error}")
        return None
    answers = tuple(_answers_of(told, context, tally, where, problems))
    if told and not answers:
        return None
    tally.answers += len(answers)
    tally.unanswerable += not answers
    return AnsweredQuestion(question, answers)


def _answers_of(
    told: list[Any], context: str, tally: Tally, where: str, problems: list[str]
) -> Iterator[Span]:
    for number, one in enumerate(told):
        try:
            span, mended = _span_of(one, context)
        except NoExampleError as error:
            tally.bad += 1
            problems.append(f"{where}.answers[{number}]: {error}")
            continue
        tally.mended += mended
        yield span


def _span_of(value: Any, context: str) -> tuple[Span, bool]:
    """Return where an answer stands, and whether that is another place than it says."""
    name = "answer_start" if "answer_start" in _object(value) else "start"
    start = _offset(value, name)
    if name == "start" and "text" not in value:
        end = _offset(value, "end")
        if not start < end <= len(context):
            raise NoExampleError(f"start {start}, end {end}: the context has {len(context)}")
        return Span(start, end), False
    text = value.get("text")
    if not isinstance(text, str) or not text.strip():
        raise NoExampleError("text is not a text")
    text = text.translate(_LONE)
    if context.startswith(text, start):
        return Span(start, start + len(text)), False
    elsewhere = only_place(context, text)
    if elsewhere is None:
        rest = "in several places" if text in context else "nowhere"
        raise NoExampleError(f"{text!r} does not stand at {name} {start}, but {rest}")
    return Span(elsewhere, elsewhere + len(text)), True


def _offset(value: dict[str, Any], name: str) -> int:
    found = value.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise NoExampleError(f"{name} is not a number of characters")
    return found
