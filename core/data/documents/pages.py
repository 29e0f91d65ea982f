"""PDF to plain text."""

import re
from collections.abc import Iterator
from io import BytesIO

from pypdf import PasswordType, PdfReader
from pypdf.errors import DependencyError, PyPdfError

from core.errors import InputError

_SHORT = 0.7  # of the widest line of its page: what is shorter ends a paragraph, if a sentence too
_ENDS = tuple(".!?:;。！？…\"'”’)]】」』")
_MARKERS = re.compile(r"(?:[-–•·▪◦‣○●※*]|\d{1,3}[.)])\s")
_HYPHENATED = re.compile(r"(?<=[a-z])[-\u00ad\u2010]$")


def pages(data: bytes, *, name: str) -> Iterator[str]:
    """Yield the text of each page, its lines joined where a paragraph goes on.

    Raises InputError, naming the page where one is at fault, for a file that is encrypted,
    damaged, or a picture of text.
    """
    reader = _open(data, name)
    found = False
    for page in _each(reader, name):
        found = found or bool(page.strip())
        yield _flow(page)
    if not found:
        raise InputError(
            f"{name}: none of its {len(reader.pages)} pages has text. It may be scanned: have the "
            "text recognised first.",
            field="file",
        )


def title_of(data: bytes) -> str:
    """Return the title in the description of a file that ``pages`` could read, if it has one."""
    try:
        described = _open(data, "").metadata
    except (PyPdfError, *_DAMAGED):
        return ""
    return (described.title if described else None) or ""


def _open(data: bytes, name: str) -> PdfReader:
    try:
        reader = PdfReader(BytesIO(data))
        if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
            raise InputError(f"{name}: it is encrypted. Save it without a password.", field="file")
        len(reader.pages)
    except DependencyError as error:
        raise InputError(
            f"{name}: it is encrypted. Save it without encryption.", field="file"
        ) from error
    except (PyPdfError, *_DAMAGED) as error:
        raise InputError(f"{name}: no PDF that can be read: {error}", field="file") from error
    return reader


# What pypdf raises for damaged files beside its own errors.
_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    NotImplementedError,
    TypeError,
    ValueError,
)


def _each(reader: PdfReader, name: str) -> Iterator[str]:
    for number in range(len(reader.pages)):
        try:
            yield reader.pages[number].extract_text()
        except (PyPdfError, *_DAMAGED) as error:
            raise InputError(
                f"{name}: page {number + 1} cannot be read: {error}", field="file"
            ) from error


def _flow(page: str) -> str:
    """Join the lines of a page where a paragraph goes on, and words where a line cut them."""
    lines = [line.strip() for line in page.split("\n")]
    widest = max(map(len, lines))
    parts: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        parts.append(line)
        short = line.endswith(_ENDS) and len(line) < _SHORT * widest
        if not line or not following or short or _MARKERS.match(following):
            parts.append("\n")
        elif _HYPHENATED.search(line) and following[0].islower():
            parts[-1] = line[:-1]
        else:
            parts.append(" ")
    return "".join(parts)
