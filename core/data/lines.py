"""A file as numbered lines of text, whatever is wrong with some of them."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from core.errors import DataError

MAX_LINE_BYTES = 2**20  # what is longer is no line, and never held in memory
MAX_RECORD_LENGTH = csv.field_size_limit()  # characters; how far an open quote may reach
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line of text without its end, or the reason why it is none."""

    number: int  # from 1
    text: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of one row, or the reason why it has none."""

    number: int  # of the line where it starts
    fields: list[str]
    problem: str | None = None


def lines(file: BinaryIO) -> Iterator[RawLine]:
    """Yield the lines of a UTF-8 file, with or without a byte order mark, LF or CRLF.

    Raises DataError where the file is UTF-16.
    """
    number = 0
    while data := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            if data.startswith(_OTHER_ENCODINGS):
                raise DataError("The file is UTF-16. Please save it as UTF-8.")
            data = data.removeprefix(b"\xef\xbb\xbf")
        if len(data) > MAX_LINE_BYTES and not data.endswith(b"\n"):
            _skip_line(file)
            yield RawLine(number, "", f"longer than {MAX_LINE_BYTES} bytes")
            continue
        yield _decoded(number, data.removesuffix(b"\n").removesuffix(b"\r"))


def records(file: BinaryIO, format_: Literal["csv", "tsv"]) -> Iterator[Record]:
    """Yield the rows of ``file``; empty lines are none.

    tsv is split at every tab and knows no quotes. csv follows RFC 4180: a quoted field may hold
    line ends. A quote that is never closed spoils its own line only.
    """
    return _tsv_records(file) if format_ == "tsv" else _csv_records(file)


def _skip_line(file: BinaryIO) -> None:
    while data := file.readline(MAX_LINE_BYTES):
        if data.endswith(b"\n"):
            return


def _decoded(number: int, data: bytes) -> RawLine:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        byte = data[error.start]
        return RawLine(number, "", f"not UTF-8: byte 0x{byte:02X} at {error.start + 1}")
    return RawLine(number, text, "has a NUL character" if "\0" in text else None)


def _tsv_records(file: BinaryIO) -> Iterator[Record]:
    for line in lines(file):
        if line.problem:
            yield Record(line.number, [], line.problem)
        elif line.text.strip():
            yield Record(line.number, line.text.split("\t"))


def _csv_records(file: BinaryIO) -> Iterator[Record]:
    incoming = lines(file)
    returned: deque[RawLine] = deque()  # read for a quote that turned out to stay open
    while line := returned.popleft() if returned else next(incoming, None):
        if line.problem:
            yield Record(line.number, [], line.problem)
        elif line.text.strip():
            yield _csv_record(line, incoming, returned)


def _csv_record(first: RawLine, incoming: Iterator[RawLine], returned: deque[RawLine]) -> Record:
    """Parse the row that starts at ``first``, taking more lines as long as a quote is open."""
    text, taken = first.text, list[RawLine]()
    fields, problem = _parse(text)
    while problem == _OPEN_QUOTE:
        line = returned.popleft() if returned else next(incoming, None)
        if line is not None:
            taken.append(line)
        if line is None or line.problem or len(text) + len(line.text) > MAX_RECORD_LENGTH:
            break
        text += "\n" + line.text
        if line.text.count('"') % 2:  # a doubled quote leaves the field open
            fields, problem = _parse(text)
    if problem:
        returned.extendleft(reversed(taken))
    return Record(first.number, fields, problem)


_OPEN_QUOTE = "opens a quote that is not closed"


def _parse(text: str) -> tuple[list[str], str | None]:
    try:
        return next(csv.reader([text], strict=True)), None
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return [], _OPEN_QUOTE
        return [], f"not csv: {error}"
