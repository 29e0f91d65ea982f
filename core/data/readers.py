"""Every file format to examples, one line at a time, in memory that does not grow."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Literal

from core.data.answered import Tally, passage_of
from core.data.columns import (
    GUESSED,
    Columns,
    Languages,
    PairPlaces,
    find_pair,
    find_split,
    find_text,
    find_turns,
    guess_pair,
)
from core.data.examples import Example, Split
from core.data.lines import RawLine, Record, lines, records
from core.data.squad import read_squad
from core.data.values import (
    NoExampleError,
    dialogue_of,
    pair_of,
    running_text_of,
    split_of_name,
)
from core.errors import DataError, InputError

Format = Literal["csv", "tsv", "jsonl", "text", "squad"]
Kind = Literal["pairs", "dialogues", "text", "passages"]
Json = dict[str, Any] | list[Any]
Place = str | int
Found = tuple[Example, Split | None]

_SUFFIXES: Mapping[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_RUNNING_SUFFIXES: Mapping[str, Format] = {
    ".txt": "text",
    ".text": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_PASSAGE_SUFFIXES: Mapping[str, Format] = {".json": "squad", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_ABLE: Mapping[Kind, tuple[str, tuple[Format, ...]]] = {
    "pairs": ("Pairs are read from csv, tsv or jsonl.", ("csv", "tsv", "jsonl")),
    "dialogues": ("Dialogues are read from jsonl only.", ("jsonl",)),
    "text": ("Running text is read from text or jsonl.", ("text", "jsonl")),
    "passages": ("Passages are read from squad or jsonl.", ("squad", "jsonl")),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One example and where it stands, or the reason why there is none."""

    number: int  # from 1, in the file; where the record starts if it has several lines
    example: Example | None = None
    problem: str | None = None
    split: Split | None = None  # what the line itself says, where it was asked


def format_of(name: str, kind: Kind = "pairs") -> Format:
    """Return the format that the end of a file's name says; InputError where it says none.

    ``.txt`` is a table of pairs, for so they are often shared; but running text where that is
    the ``kind``. ``.json`` is a SQuAD document where the ``kind`` is passages.
    """
    suffixes = {"text": _RUNNING_SUFFIXES, "passages": _PASSAGE_SUFFIXES}.get(kind, _SUFFIXES)
    for suffix, format_ in suffixes.items():
        if name.lower().endswith(suffix):
            return format_
    known = ", ".join(suffixes)
    raise InputError(
        f"{name}: the format is not clear from the name; known: {known}.", field="format"
    )


def read(
    file: BinaryIO,
    *,
    format: Format,  # noqa: A002 (the word of the request and the command line)
    kind: Kind,
    columns: Columns = GUESSED,
    header: bool | None = None,
    languages: Languages = (None, None),
) -> Iterator[Line]:
    """Yield what each line of ``file`` holds; empty lines are passed over.

    csv and tsv hold pairs. Where ``header`` is None, the first row is a header if ``columns``
    gives names or the names are well known. Without either, tsv has no header and holds source
    and target in columns 1 and 2, and csv is refused: most csv files have a header.

    jsonl holds pairs as objects or arrays, running text as objects with a ``text``, and dialogues
    as ``{"turns": [...]}``, ``{"messages": [...]}`` or an array; a turn is a text, a
    ``[speaker, text]`` array or an object with a ``content``. Turns of the roles system and tool
    are left out. text holds running text, a paragraph in each line. Passages are objects with
    ``context`` and ``questions``, or the paragraphs of a SQuAD document (squad); what is wrong
    with an answer is a problem of its line, which keeps the others.

    Texts are in NFC and stripped, but for contexts. Raises DataError where the columns cannot be
    found.
    """
    asking, able = _ABLE[kind]
    if format not in able:
        raise InputError(asking, field="format")
    if format == "text":
        _refuse_columns("Plain text has no columns that could be named.", columns)
        return _from_text(file)
    if format == "squad":
        _refuse_columns("A SQuAD document has no columns that could be named.", columns)
        return _from_squad(file)
    if format == "jsonl":
        read_json = _passages_from_json if kind == "passages" else _from_json
        return read_json(file, columns, languages, kind)
    table = _Table(format, columns, header, languages)
    return table.read(records(file, format))


@dataclass(frozen=True, slots=True)
class _Table:
    """How the rows of a csv or tsv file are to be understood."""

    format: Literal["csv", "tsv"]
    columns: Columns
    header: bool | None
    languages: Languages

    def read(self, rows: Iterator[Record]) -> Iterator[Line]:
        """Yield what each row holds; the first that can be read says where to look."""
        for row in rows:
            if row.problem:
                if self._needs_header():
                    problem = f"The header, line {row.number}, cannot be read: {row.problem}."
                    raise DataError(problem, lines=[(row.number, row.problem)])
                yield Line(row.number, problem=row.problem)
                continue
            headed = self._has_header(row.fields)
            places = find_pair(row.fields, self.columns, self.languages, numbered=not headed)
            if not headed:
                yield _table_line(row, places, len(row.fields))
            for below in rows:
                yield _table_line(below, places, len(row.fields))

    def _needs_header(self) -> bool:
        if self.header is not None:
            return self.header
        told = self.columns.source is not None or self.columns.target is not None
        return self.columns.named() or (self.format == "csv" and not told)

    def _has_header(self, names: Sequence[str]) -> bool:
        if self.header is not None:
            return self.header
        return self._needs_header() or guess_pair(names, self.languages) is not None


def _table_line(row: Record, places: PairPlaces, width: int) -> Line:
    if row.problem:
        return Line(row.number, problem=row.problem)
    if len(row.fields) != width:
        return Line(row.number, problem=f"{len(row.fields)} column(s) instead of {width}")
    return _line(row.number, partial(_pair_at, places, row.fields.__getitem__))


def _pair_at(places: PairPlaces, value_at: Callable[[int], Any]) -> Found:
    """Return the pair of a row or object, and the split that it says it belongs to."""
    subject = None if places.subject is None else value_at(places.subject)
    pair = pair_of(value_at(places.source), value_at(places.target), subject)
    return pair, None if places.split is None else split_of_name(value_at(places.split))


def _line(number: int, make: Callable[[], Found]) -> Line:
    try:
        example, split = make()
    except NoExampleError as error:
        return Line(number, problem=str(error))
    return Line(number, example, split=split)


def _from_text(file: BinaryIO) -> Iterator[Line]:
    for line in lines(file):
        if line.problem:
            yield Line(line.number, problem=line.problem)
        elif line.text.strip():
            yield Line(line.number, running_text_of(line.text))


def _refuse_columns(reason: str, columns: Columns) -> None:
    if told := columns.model_dump(exclude_none=True):
        raise InputError(reason, field=min(told))


def _from_squad(file: BinaryIO) -> Iterator[Line]:
    for found in read_squad(file):
        yield Line(found.number, found.passage, found.problem)


def _passages_from_json(
    file: BinaryIO, columns: Columns, languages: Languages, kind: Kind
) -> Iterator[Line]:
    """Yield the passage of each line, and beside it a line for each answer that does not stand."""
    del languages, kind
    named = columns.model_copy(update={"split": None})
    _refuse_columns("The parts of a passage go by names of their own.", named)
    for line in lines(file):
        if not line.problem and not line.text.strip():
            continue
        try:
            value = _json(line)
            split = None if columns.split is None else split_of_name(_member(value, columns.split))
        except NoExampleError as error:
            yield Line(line.number, problem=str(error))
            continue
        found = passage_of(value, Tally())
        if found.passage is not None:
            yield Line(line.number, found.passage, split=split)
        yield from (Line(line.number, problem=problem) for problem in found.problems)


def _from_json(
    file: BinaryIO, columns: Columns, languages: Languages, kind: Kind
) -> Iterator[Line]:
    make: Callable[[Json], Found] | None = None
    for line in lines(file):
        if not line.problem and not line.text.strip():
            continue
        try:
            value = _json(line)
        except NoExampleError as error:
            yield Line(line.number, problem=str(error))
            continue
        if make is None:
            make = _maker(value, columns, languages, kind)
        yield _line(line.number, partial(make, value))


def _json(line: RawLine) -> Json:
    if line.problem:
        raise NoExampleError(line.problem)
    try:
        value = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        raise NoExampleError(f"not JSON: {error}") from error
    if not isinstance(value, dict | list):
        raise NoExampleError("neither an object nor an array")
    return value


def _maker(
    first: Json, columns: Columns, languages: Languages, kind: Kind
) -> Callable[[Json], Found]:
    """Return what makes an example of a value that is built like ``first``."""
    names = list(first) if isinstance(first, dict) else []
    if kind == "pairs":
        width = [""] * len(first)
        places = find_pair(names or width, columns, languages, numbered=not names)
        return lambda value: _pair_at(
            places, lambda place: _member(value, names[place] if names else place)
        )
    split = find_split(names, columns)
    if kind == "dialogues" and not names:
        return lambda value: (dialogue_of(value), None)
    whole = find_text(names, columns) if kind == "text" else find_turns(names, columns)
    example_of = running_text_of if kind == "text" else dialogue_of

    def make(value: Json) -> Found:
        example = example_of(_member(value, whole))
        return example, None if split is None else split_of_name(_member(value, split))

    return make


def _member(value: Json, place: Place) -> Any:
    if isinstance(value, dict) and isinstance(place, str) and place in value:
        return value[place]
    if isinstance(value, list) and isinstance(place, int) and place < len(value):
        return value[place]
    raise NoExampleError(f"has no {place if isinstance(place, str) else f'column {place + 1}'}")
