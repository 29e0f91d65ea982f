"""Sets of pairs and talks as their makers wrote them, to examples."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.data.columns import GUESSED, Columns
from core.data.examples import Example, Pair
from core.data.lines import RawLine, lines
from core.data.readers import Format, Kind, format_of
from core.data.readers import read as read_format
from core.errors import DataError
from core.recipes.materials import Material
from core.text.clean import normalise

Reader = Callable[[Sequence[str], Path, Material], Iterator[Example]]


def bad_line(name: str, number: int, reason: str) -> DataError:
    """Return the error for a line that cannot be read; ``number`` counts from 1."""
    return DataError(f"{name}, line {number}: {reason}", lines=[(number, reason)])


def good_lines(name: str, root: Path) -> Iterator[RawLine]:
    """Yield the lines of a UTF-8 file; raises DataError at the first that cannot be read."""
    with (root / name).open("rb") as file, _named(name):
        for line in lines(file):
            if line.problem:
                raise bad_line(name, line.number, line.problem)
            yield line


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put the name of the file before an error that does not have it."""
    try:
        yield
    except DataError as error:
        if str(error).startswith(name):
            raise
        raise DataError(f"{name}: {error}", lines=error.lines, field=error.field) from error


def toy(files: Sequence[str], root: Path, material: Material) -> Iterator[Example]:
    """Yield pairs of ``16+75  _91  ``: what is before and after the mark, without padding."""
    del material
    for line in good_lines(files[0], root):
        question, mark, answer = line.text.partition("_")
        if not (mark and question.strip() and answer.strip()):
            raise bad_line(files[0], line.number, "is not a question, _ and an answer")
        yield Pair(normalise(question).strip(), normalise(answer).strip())


def parallel_lines(files: Sequence[str], root: Path, material: Material) -> Iterator[Example]:
    """Yield pairs of the lines at one place in two files, source and target."""
    del material
    if len(files) != 2:
        raise DataError(f"{files[0]}: a second file holds the targets, and there is none")
    sources, targets = (good_lines(name, root) for name in files)
    for source in sources:
        target = next(targets, None)
        if target is None:
            raise bad_line(files[0], source.number, f"{files[1]} has no such line")
        yield Pair(_text(source, files[0]), _text(target, files[1]))
    if over := next(targets, None):
        raise bad_line(files[1], over.number, f"{files[0]} has no such line")


def table(files: Sequence[str], root: Path, material: Material) -> Iterator[Example]:
    """Yield the pairs of a csv, tsv or jsonl file."""
    columns = GUESSED
    if material.columns is not None:
        columns = Columns(source=material.columns[0], target=material.columns[1])
    return _from_format(files[0], root, "pairs", format_of(files[0]), columns)


def texts_of(name: str, root: Path, material: Material) -> Iterator[str]:
    """Yield the targets of a csv, tsv or jsonl file: one side of its pairs, as running text."""
    for pair in table((name,), root, material):
        yield pair.texts[1]


def dialogues(files: Sequence[str], root: Path, material: Material) -> Iterator[Example]:
    """Yield the talks of a jsonl file."""
    del material
    return _from_format(files[0], root, "dialogues", "jsonl", GUESSED)


def abstracts(files: Sequence[str], root: Path, material: Material) -> Iterator[Example]:
    """Yield each abstract with the first of its summaries, as SciTLDR keeps them."""
    del material
    for line in good_lines(files[0], root):
        try:
            value = json.loads(line.text)
            source, target = " ".join(value["source"]), value["target"][0]
        except (ValueError, LookupError, TypeError) as error:
            reason = "is not an object with source and target, each an array of texts"
            raise bad_line(files[0], line.number, reason) from error
        yield Pair(normalise(source).strip(), normalise(target).strip())


def _from_format(
    name: str, root: Path, kind: Kind, format_: Format, columns: Columns
) -> Iterator[Example]:
    with (root / name).open("rb") as file, _named(name):
        for line in read_format(file, format=format_, kind=kind, columns=columns):
            if line.example is None:
                raise bad_line(name, line.number, line.problem or "")
            yield line.example


def _text(line: RawLine, name: str) -> str:
    if text := normalise(line.text).strip():
        return text
    raise bad_line(name, line.number, "is empty")
