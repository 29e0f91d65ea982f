"""What a command prints: for a person, or as JSON for a program."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from services.cli.failures import Failure, sentences

PIPE_WIDTH = 200  # columns where there is no terminal: nothing is cut off for want of room


class Screen:
    """Standard output and error, used in one of two ways."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    @property
    def is_live(self) -> bool:
        """Whether a person looks at a terminal that can be redrawn."""
        return self.out.is_terminal and not self.as_json

    def result(self, data: Any, *renderables: RenderableType) -> None:
        """Print the result of a command: ``data`` as JSON, or what is made for people."""
        if self.as_json:
            self.line(data)
            return
        self.show(*renderables)

    def show(self, *renderables: RenderableType) -> None:
        """Print what is made for people; in a pipe without the blanks that fill up columns."""
        for renderable in renderables:
            if self.out.is_terminal:
                self.out.print(renderable)
                continue
            with self.out.capture() as captured:
                self.out.print(renderable)
            for line in captured.get().splitlines():
                self.out.print(Text(line.rstrip()), soft_wrap=True)

    def line(self, data: Any) -> None:
        """Print one line of JSON at once."""
        sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def say(self, text: str, *, style: str = "") -> None:
        """Tell a person something; a program hears nothing of it."""
        if not self.as_json:
            self.out.print(Text(text, style=style), soft_wrap=True)

    def failure(self, failure: Failure) -> None:
        """Tell what went wrong: a problem document, or its sentences on standard error."""
        if self.as_json:
            problem = {key: value for key, value in failure.problem.items() if value}
            self.line({"error": {**problem, "exit_code": int(failure.code)}})
            return
        self.err.print(Text.assemble(("Error: ", "bold red"), str(failure.problem["title"])))
        for sentence in sentences(failure.problem):
            self.err.print(Text(f"  {sentence}"))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> Table:
    """Return rows under headings; numbers stand to the right, words are never cut."""
    body = [list(row) for row in rows]
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        numeric = bool(body) and all(isinstance(row[number], int | float) for row in body)
        made.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        made.add_row(*(Text(_cell(value)) for value in row))
    return made


def facts(pairs: Iterable[tuple[str, object]]) -> Table:
    """Return names and values, one pair a line; what is None is left out."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None:
            made.add_row(name, Text(_cell(value)))
    return made


def moment(text: str | None) -> str:
    """Return a moment of the API as the local clock shows it."""
    if not text:
        return ""
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone().strftime("%F %T")


def duration(seconds: float) -> str:
    """Return seconds as ``1:02:03``, ``2:03`` or ``3 s``."""
    whole = max(round(seconds), 0)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}:{minutes:02}:{left:02}"
    return f"{minutes}:{left:02}" if minutes else f"{left} s"


def size(count: int) -> str:
    """Return a number of bytes as people write it."""
    value, units = float(count), iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while value >= 1000 and (larger := next(units, "")):
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)
