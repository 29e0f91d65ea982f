"""Single keys, from a terminal or line by line from a pipe."""

import codecs
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from services.cli.piped import piped

ESCAPE = "\x1b"
END = "\x04"  # Ctrl-D
REST_S = 0.05  # for what comes after an escape


class Keys(Protocol):
    """Where keys and the words of an edit come from."""

    def key(self) -> str | None:
        """Return the next key, None at the end."""
        ...

    def line(self, name: str, present: str) -> str:
        """Return what ``present`` is to become; empty: it stays."""
        ...


@contextmanager
def keys(*, live: bool) -> Iterator[Keys]:
    """Read a terminal if there is one and ``live``, or else standard input line by line.

    A terminal tells each key at once until the end, so that none is lost in between.
    """
    if not (live and sys.stdin.isatty()):
        yield Pipe()
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSANOW)
    try:
        yield Terminal(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


class Terminal:
    """A person at a keyboard: single keys, and lines that can be changed in place."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def key(self) -> str | None:
        """Return the next key, such as an arrow as one; None at the end and for Ctrl-D."""
        key = self._character()
        if key == ESCAPE and self._more():
            key += self._character()
            if key == f"{ESCAPE}[":
                key += self._sequence()
        return None if key in ("", END) else key

    def _sequence(self) -> str:
        """Return the rest of a control sequence, which a letter ends (ECMA-48, 5.4)."""
        rest = ""
        while self._more():
            rest += self._character()
            if not rest or "@" <= rest[-1] <= "~":
                break
        return rest

    def _character(self) -> str:
        """Return the next character, nothing at the end."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        while data := os.read(self._descriptor, 1):  # no more: what follows may be for a line
            if character := decoder.decode(data):
                return character
        return ""

    def _more(self) -> bool:
        return bool(select.select([self._descriptor], [], [], REST_S)[0])

    def line(self, name: str, present: str) -> str:
        """Return what was made of ``present``; Ctrl-D leaves it as it is."""
        from prompt_toolkit import PromptSession

        session: PromptSession[str] = PromptSession()
        try:
            return session.prompt(f"{name}: ", default=present)
        except EOFError:
            return ""


class Pipe:
    """Lines of standard input: a key on each, and what an edit asks for on those after it."""

    def __init__(self) -> None:
        self._lines = piped()

    def key(self) -> str | None:
        """Return the next key, None at the end."""
        line = next(self._lines, None)
        return None if line is None else line.strip()

    def line(self, name: str, present: str) -> str:
        """Return the next line; at the end everything stays as it is."""
        del name, present
        return next(self._lines, "")
