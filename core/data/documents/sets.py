"""Files with several documents in them: SQuAD and KorQuAD, and JSON lines."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.data.documents.encoding import decode
from core.errors import DataError, InputError

SHOWN = 20  # bad lines that an error lists


@dataclass(frozen=True, slots=True)
class Part:
    """One document of a file, not yet cleaned."""

    place: str  # where in the file it is
    text: str
    title: str = ""
    language: str | None = None


def articles(data: bytes, *, name: str) -> Iterator[Part]:
    """Yield the articles of a SQuAD or KorQuAD file: the contexts of each, one after the other.

    Source: Rajpurkar et al. 2016; KorQuAD 1.0 has the same fields, 2.1 one context an article.
    Raises InputError naming the field that is not as it should be.
    """
    try:
        content = json.loads(decode(data, name=name))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{name}: not JSON: {error}", field="file") from error
    found = _field(content, "data", list, within="", name=name)
    if not found:
        raise InputError(f"{name}: data has no articles.", field="file")
    for number, article in enumerate(found):
        within = f"data[{number}]"
        title = _field(article, "title", str, within=within, name=name)
        if "context" in article:
            contexts = [_field(article, "context", str, within=within, name=name)]
        else:
            contexts = _contexts(article, within, name)
        yield Part(str(number + 1), "\n\n".join(contexts), title)


def records(data: bytes, *, name: str) -> Iterator[Part]:
    """Yield the documents of a file with one JSON object a line: text or context, title, language.

    Other fields are left aside. Raises DataError listing the first lines that are no document.
    """
    parts: list[Part] = []
    bad: list[tuple[int, str]] = []
    lines = decode(data, name=name).split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            parts.append(_record(line, number))
        except ValueError as error:
            bad.append((number, str(error)))
    if bad:
        raise DataError(
            f"{name}: {len(bad)} of {len(bad) + len(parts)} lines are no documents.",
            lines=bad[:SHOWN],
            field="file",
        )
    if not parts:
        raise InputError(f"{name}: there is no text in it.", field="file")
    yield from parts


def _record(line: str, number: int) -> Part:
    try:
        content = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 (a fault of the file, not of ours)
    said = "context" if "text" not in content and "context" in content else "text"
    for field in (said, "title", "language"):
        value = content.get(field)
        if not isinstance(value, str) and (field == said or value is not None):
            raise ValueError(f"{field} is no text")
    if not content[said].strip():
        raise ValueError(f"{said} is empty")
    return Part(str(number), content[said], content.get("title") or "", content.get("language"))


def _contexts(article: Any, within: str, name: str) -> list[str]:
    paragraphs = _field(article, "paragraphs", list, within=within, name=name)
    return [
        _field(paragraph, "context", str, within=f"{within}.paragraphs[{number}]", name=name)
        for number, paragraph in enumerate(paragraphs)
    ]


def _field(content: Any, field: str, kind: type, *, within: str, name: str) -> Any:
    """Return a field of a JSON object, of the kind it should be."""
    value = content.get(field) if isinstance(content, dict) else None
    if not isinstance(value, kind):
        path = f"{within}.{field}" if within else field
        what = "a text" if kind is str else "an array"
        raise InputError(f"{name}: {path} is not {what}.", field="file")
    return value
