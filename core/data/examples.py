"""What a corpus consists of, and what a model sees of it."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.data.spans import Span
from core.errors import InputError
from core.text.clean import normalise

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A text and what should become of it: a question and its answer, a sentence in two tongues."""

    source: str
    target: str

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is said in it."""
        return (self.source, self.target)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Two or more turns of a talk, oldest first."""

    turns: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is said in it."""
        return self.turns


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of running text, one paragraph or sentence; the piece before it comes before it."""

    text: str

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is said in it."""
        return (self.text,)


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """A question about a context, and where the answers that people gave to it stand there."""

    question: str
    answers: tuple[Span, ...]  # may be the same; none: the context does not answer it

    @property
    def answer(self) -> Span | None:
        """The answer that was given most often, of equal ones the first."""
        counts = Counter(self.answers)  # keeps the order of the first of each
        return max(counts, key=lambda span: counts[span], default=None)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of an article or story, as its makers wrote it, and questions about it.

    Offsets count the characters of ``context``, so it is neither brought into a normal form nor
    stripped. Passages with one title are never parted; without one, each is an article of its own.
    """

    title: str
    context: str
    questions: tuple[AnsweredQuestion, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is said in it."""
        return (self.context, *(one.question for one in self.questions))


Example = Pair | Dialogue | Text | Passage


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a model reads, oldest turn first, and what it should say to it."""

    context: tuple[str, ...]
    reply: str


def exchanges(example: Example, *, context_turns: int) -> Iterator[Exchange]:
    """Yield what can be learned from ``example``: of a dialogue, every turn but the first.

    The context holds the last ``context_turns`` turns before the reply, or fewer at the start.
    Raises InputError for running text and passages: nobody replies to them.
    """
    if isinstance(example, Pair):
        yield Exchange((example.source,), example.target)
        return
    if isinstance(example, Text):
        raise InputError("Running text has no replies; it is for language models.", field="corpus")
    if isinstance(example, Passage):
        raise InputError("Passages have no replies; they are for questions.", field="corpus")
    for position in range(1, len(example.turns)):
        context = example.turns[max(0, position - context_turns) : position]
        yield Exchange(context, example.turns[position])


def content_of(example: Example) -> dict[str, Any]:
    """Return ``example`` as it is kept.

    That is ``{source, target}``, ``{turns}``, ``{text}`` or ``{title, context, questions}``.
    """
    if isinstance(example, Pair):
        return {"source": example.source, "target": example.target}
    if isinstance(example, Text):
        return {"text": example.text}
    if isinstance(example, Passage):
        return {
            "title": example.title,
            "context": example.context,
            "questions": [_content_of_question(one) for one in example.questions],
        }
    return {"turns": list(example.turns)}


def example_of(content: Mapping[str, Any]) -> Example:
    """Return the example that ``content_of`` made ``content`` of."""
    if "turns" in content:
        return Dialogue(tuple(content["turns"]))
    if "text" in content:
        return Text(content["text"])
    if "context" in content:
        questions = (
            AnsweredQuestion(
                one["question"],
                tuple(Span(span["start"], span["end"]) for span in one["answers"]),
            )
            for one in content["questions"]
        )
        return Passage(content["title"], content["context"], tuple(questions))
    return Pair(content["source"], content["target"])


def _content_of_question(question: AnsweredQuestion) -> dict[str, Any]:
    answers = [{"start": span.start, "end": span.end} for span in question.answers]
    return {"question": question.question, "answers": answers}


def place(example: Example) -> float:
    """Return where in [0, 1) ``example`` falls when a corpus is divided.

    It depends on the source (the first turn of a dialogue, the title of a passage) alone, and
    neither on its case nor its spacing: examples with one source share one place, in every corpus
    and on every machine.
    Running text is divided by ``split_at`` instead.
    """
    if isinstance(example, Text):
        return place_of(example.text)
    if isinstance(example, Passage):
        return place_of(example.title or example.context)
    return place_of(example.source if isinstance(example, Pair) else example.turns[0])


def place_of(source: str) -> float:
    """Return the place of whatever has ``source``."""
    key = " ".join(normalise(source).casefold().split())
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48


def split_of(example: Example, *, valid_share: float, test_share: float) -> Split:
    """Return the split of ``example``; examples with one source are never parted."""
    where = place(example)
    if where < valid_share:
        return "valid"
    return "test" if where < valid_share + test_share else "train"


def split_at(where: float, *, valid_share: float, test_share: float) -> Split:
    """Return the split of a piece of running text that begins at ``where`` in [0, 1) of it.

    Running text is cut, not dealt out: first what is learned, then validation, then test. A
    held-out piece between two that were learned would be half known, and the order must stay.
    """
    if where < 1 - valid_share - test_share:
        return "train"
    return "valid" if where < 1 - test_share else "test"
