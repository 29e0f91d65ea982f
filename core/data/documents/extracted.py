"""The text of a document as it is kept: normalised once, here, and never afterwards."""

import re
from dataclasses import dataclass

from core.errors import InputError
from core.text.clean import normalise

MAX_CHARACTERS = 10_000_000  # in one document; a long novel has a million
MAX_TITLE = 200  # characters
_PARTINGS = re.compile("[\f\u2029]")
_LINE_ENDS = re.compile("\r\n|[\r\v\x85\u2028]")
_UNSEEN = re.compile("[\0-\x08\x0e-\x1f\x7f-\x9f\u00ad\ufeff]")  # controls, soft hyphens, marks
_GAPS = re.compile("\n{3,}")
_LANGUAGE = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """One document; every later offset counts the characters (code points) of ``text``."""

    name: str  # of its file, and which part of it where a file has several
    format: str
    title: str
    text: str
    language: str | None = None


def extracted(
    *,
    name: str,
    format: str,  # noqa: A002 (an option has one name everywhere)
    title: str,
    text: str,
    language: object = None,
) -> Extracted:
    """Return the document as it is kept.

    Raises InputError naming it where there is no text in it, or too much.
    """
    kept = clean(text)
    if not kept:
        raise InputError(f"{name}: there is no text in it.", field="file")
    if len(kept) > MAX_CHARACTERS:
        raise InputError(
            f"{name}: {len(kept)} characters of text; a document has at most {MAX_CHARACTERS}.",
            field="file",
        )
    shown = clean_title(title) or clean_title(stem_of(name)) or "document"
    return Extracted(name=name, format=format, title=shown, text=kept, language=_language(language))


def clean(text: str) -> str:
    """Return ``text`` in NFC: lines end in LF, without blanks at their ends or controls.

    At most one empty line stands between two others, and none around the whole.
    """
    text = _LINE_ENDS.sub("\n", _PARTINGS.sub("\n\n", text))
    text = normalise(_UNSEEN.sub("", text))
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return _GAPS.sub("\n\n", text).strip()


def clean_title(title: str) -> str:
    """Return a title as one line of bounded length."""
    return " ".join(clean(title[: MAX_TITLE * 4]).split())[:MAX_TITLE].strip()


def clean_name(name: str) -> str:
    """Return the name of a file as one line; of a very long one its end, which has the suffix."""
    return " ".join(clean(name).split())[-MAX_TITLE:].strip() or "file"


def stem_of(name: str) -> str:
    """Return the name of a file without folders and suffix."""
    base = re.split(r"[/\\]", name)[-1]
    return base.rpartition(".")[0] or base


def _language(value: object) -> str | None:
    """Return the code of a language, or None for whatever is none."""
    if isinstance(value, str) and len(value) <= 16 and _LANGUAGE.fullmatch(value):
        return value
    return None
