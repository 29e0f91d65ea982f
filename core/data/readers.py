"""Every file format to examples, one line at a time, in memory that does not grow."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from core.data.columns import GUESSED, Columns, Languages, find_pair, find_turns, guess_pair
from core.data.examples import Dialogue, Example, Pair
from core.data.lines import RawLine, Record, lines, records
from core.errors import DataError, InputError
from core.text.clean import normalise

Format = Literal["csv", "tsv", "jsonl"]
Kind = Literal["pairs", "dialogues"]
Json = dict[str, Any] | list[Any]

_SUFFIXES: Mapping[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_TURN_TEXTS = ("content", "text", "value", "utterance")
_UNSPOKEN = frozenset({"system", "developer", "tool", "function"})


@dataclass(frozen=True, slots=True)
class Line:
    """One example and where it stands, or the reason why there is none."""

    number: int  # from 1, in the file; where the record starts if it has several lines
    example: Example | None = None
    problem: str | None = None


class _NoExampleError(Exception):
    """What is wrong with a line."""


def format_of(name: str) -> Format:
    """Return the format that the end of a file's name says; InputError where it says none."""
    for suffix, format_ in _SUFFIXES.items():
        if name.lower().endswith(suffix):
            return format_
    known = ", ".join(_SUFFIXES)
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

    jsonl holds pairs as objects or arrays, and dialogues as ``{"turns": [...]}``,
    ``{"messages": [...]}`` or an array; a turn is a text, a ``[speaker, text]`` array or an
    object with a ``content``. Turns of the roles system and tool are left out.

    Texts are in NFC and stripped. Raises DataError where the columns cannot be found.
    """
    if format == "jsonl":
        return _from_json(file, columns, languages, kind)
    if kind == "dialogues":
        raise InputError("Dialogues are read from jsonl only.", field="format")
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


def _table_line(row: Record, places: tuple[int, int], width: int) -> Line:
    if row.problem:
        return Line(row.number, problem=row.problem)
    if len(row.fields) != width:
        return Line(row.number, problem=f"{len(row.fields)} column(s) instead of {width}")
    source, target = (row.fields[place] for place in places)
    try:
        return Line(row.number, _pair(source, target))
    except _NoExampleError as error:
        return Line(row.number, problem=str(error))


def _from_json(
    file: BinaryIO, columns: Columns, languages: Languages, kind: Kind
) -> Iterator[Line]:
    make: Callable[[Json], Example] | None = None
    for line in lines(file):
        if not line.problem and not line.text.strip():
            continue
        try:
            value = _json(line)
            if make is None:
                make = _maker(value, columns, languages, kind)
            yield Line(line.number, make(value))
        except _NoExampleError as error:
            yield Line(line.number, problem=str(error))


def _json(line: RawLine) -> Json:
    if line.problem:
        raise _NoExampleError(line.problem)
    try:
        value = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        raise _NoExampleError(f"not JSON: {error}") from error
    if not isinstance(value, dict | list):
        raise _NoExampleError("neither an object nor an array")
    return value


def _maker(
    first: Json, columns: Columns, languages: Languages, kind: Kind
) -> Callable[[Json], Example]:
    """Return what makes an example of a value that is built like ``first``."""
    names = list(first) if isinstance(first, dict) else None
    if kind == "pairs":
        width = [""] * len(first)
        places = find_pair(names or width, columns, languages, numbered=names is None)
        source, target = (names[place] if names else place for place in places)
        return lambda value: _pair(_member(value, source), _member(value, target))
    if names is None:
        return _dialogue
    turns = find_turns(names, columns)
    return lambda value: _dialogue(_member(value, turns))


def _member(value: Json, place: str | int) -> Any:
    if isinstance(value, dict) and isinstance(place, str) and place in value:
        return value[place]
    if isinstance(value, list) and isinstance(place, int) and place < len(value):
        return value[place]
    raise _NoExampleError(f"has no {place if isinstance(place, str) else f'column {place + 1}'}")


def _dialogue(turns: Any) -> Dialogue:
    if not isinstance(turns, list):
        raise _NoExampleError("the turns are not an array")
    spoken = [turn for turn in turns if not _is_unspoken(turn)]
    if len(spoken) < 2:
        raise _NoExampleError("a dialogue needs two turns")
    return Dialogue(
        tuple(_text(_said(turn), f"turn {number}") for number, turn in enumerate(spoken, 1))
    )


def _is_unspoken(turn: Any) -> bool:
    return isinstance(turn, dict) and turn.get("role") in _UNSPOKEN


def _said(turn: Any) -> Any:
    if isinstance(turn, list) and len(turn) == 2:
        return turn[1]
    if isinstance(turn, dict):
        return next((turn[name] for name in _TURN_TEXTS if name in turn), None)
    return turn


def _pair(source: Any, target: Any) -> Pair:
    return Pair(_text(source, "the source"), _text(target, "the target"))


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _NoExampleError(f"{name} is not a text")
    if "\0" in value:
        raise _NoExampleError(f"{name} has a NUL character")
    text = normalise(value).strip()
    if not text:
        raise _NoExampleError(f"{name} is empty")
    return text
