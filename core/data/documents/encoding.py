"""Bytes to text, or to the line where they are none."""

import codecs

from core.errors import DataError, InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes, *, name: str, declared: str | None = None) -> str:
    """Return the text of a file, by its byte order mark, as ``declared``, or as UTF-8.

    Raises InputError for what is no text at all, and DataError naming the first line that is not
    in the encoding.
    """
    encoding = next((told for mark, told in _MARKS if data.startswith(mark)), None)
    if encoding is None and (place := data.find(b"\0")) >= 0:
        raise InputError(f"{name}: no text: byte {place + 1} is NUL.", field="file")
    encoding = encoding or declared or "utf-8"
    try:
        return data.decode(encoding)
    except LookupError as error:
        raise InputError(
            f"{name}: it says that it is in {encoding!r}, which is no known encoding of text.",
            field="file",
        ) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        shown = encoding.removesuffix("-sig").upper()
        reason = f"not {shown}: byte 0x{data[error.start]:02X} at {column}"
        raise DataError(
            f"{name}: line {line} is {reason}. Save it as UTF-8.",
            lines=[(line, reason)],
            field="file",
        ) from error
