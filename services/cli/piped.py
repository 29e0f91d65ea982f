"""What comes through a pipe."""

import sys
from collections.abc import Iterator

from services.cli.failures import Exit, Failure


def piped() -> Iterator[str]:
    """Yield the lines of standard input, without their ends."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            detail = f"line {number} of standard input is not UTF-8: {error.reason}"
            raise Failure(Exit.REFUSED, "The input cannot be read", detail) from error
        yield text.rstrip("\r\n")
