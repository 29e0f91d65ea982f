"""Sets of questions about passages, as their makers wrote them."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.data.answered import Tally, only_place, passage_of
from core.data.examples import AnsweredQuestion, Example, Passage
from core.data.paired import bad_line, good_lines
from core.data.spans import Span
from core.data.squad import read_squad
from core.data.values import NoExampleError, text_in
from core.errors import DataError
from core.recipes.materials import Material

Section = tuple[str, int]  # of a story, from 1


def passages(files: Sequence[str], root: Path, material: Material) -> Iterator[Example]:
    """Yield the passages of SQuAD documents (.json) and of stories (.jsonl).

    Stories come in two files, one behind the other: the sections of each, and the questions.
    Raises DataError naming the file, and what in it, that cannot be read.
    """
    del material
    names = iter(files)
    for name in names:
        if name.endswith(".json"):
            yield from _document(name, root)
            continue
        questions = next(names, None)
        if questions is None:
            raise DataError(f"{name}: a second file holds the questions, and there is none")
        yield from read_fairytale(name, questions, root)


def asked_by_people(name: str, root: Path, *, language: str) -> Iterator[Passage]:
    """Yield the passages of a jsonl file that are in ``language``, as our own examples name it.

    Raises DataError naming file and line where a passage cannot be read.
    """
    for line in good_lines(name, root):
        try:
            value = json.loads(line.text)
            found = passage_of(value, Tally())
        except ValueError as error:
            raise bad_line(name, line.number, f"not JSON: {error}") from error
        if found.passage is None or found.problems:
            raise bad_line(name, line.number, found.problems[0])
        if value.get("language") == language:
            yield found.passage


def read_fairytale(
    stories: str, questions: str, root: Path, tally: Tally | None = None
) -> Iterator[Passage]:
    """Yield each section of each story with the questions whose answer stands in it.

    The set has no offsets. An answer counts where it stands exactly once in all the sections that
    its question names; it is left out, and counted in ``tally``, where it stands nowhere (about
    half of them are retold) or in several places, and so is a question without any.
    """
    counts = Tally() if tally is None else tally
    sections = dict(_sections(stories, root))
    asked: dict[Section, list[AnsweredQuestion]] = defaultdict(list)
    for line in good_lines(questions, root):
        try:
            where, question = _question(json.loads(line.text), sections, counts)
        except (ValueError, LookupError, TypeError, NoExampleError) as error:
            reason = f"is not a question with story, sections and answers: {error}"
            raise bad_line(questions, line.number, reason) from error
        if where is not None:
            asked[where].append(question)
    for place, context in sections.items():
        counts.passages += 1
        counts.questions += len(asked[place])
        yield Passage(place[0], context, tuple(asked[place]))


def _document(name: str, root: Path) -> Iterator[Passage]:
    with (root / name).open("rb") as file:
        for found in read_squad(file):
            if found.passage is None:
                raise DataError(f"{name}: {found.problem}")
            yield found.passage


def _sections(name: str, root: Path) -> Iterator[tuple[Section, str]]:
    for line in good_lines(name, root):
        try:
            value = json.loads(line.text)
            title, told = text_in(value["story"], "the story"), list(value["sections"])
            for number, section in enumerate(told, 1):
                text_in(section, f"section {number}")
                yield (title, number), section
        except (ValueError, LookupError, TypeError, NoExampleError) as error:
            reason = f"is not a story with sections: {error}"
            raise bad_line(name, line.number, reason) from error


def _question(
    value: Any, sections: dict[Section, str], tally: Tally
) -> tuple[Section | None, AnsweredQuestion]:
    """Return a question and the section that has its answers; None where none has one."""
    named = [(text_in(value["story"], "the story"), int(one)) for one in value["sections"]]
    found: dict[Section, list[Span]] = {}
    for answer in value["answers"]:
        text = text_in(answer, "an answer")
        holding = [place for place in named if text in sections[place]]
        start = only_place(sections[holding[0]], text) if len(holding) == 1 else None
        if start is None:
            tally.bad += 1
            continue
        tally.answers += 1
        found.setdefault(holding[0], []).append(Span(start, start + len(text)))
    where = max(found, key=lambda place: len(found[place]), default=None)
    answers = () if where is None else tuple(found[where])
    return where, AnsweredQuestion(text_in(value["question"], "the question"), answers)
