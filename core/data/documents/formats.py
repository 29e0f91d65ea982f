"""The one table from the format of a file to what reads it.

Parsers are imported where one is needed: whoever only names formats starts without them.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Literal, get_args

from core.data.documents.encoding import decode
from core.data.documents.extracted import Extracted, extracted
from core.data.documents.sets import Part, articles, records
from core.errors import InputError

Format = Literal["text", "markdown", "html", "pdf", "squad", "jsonl"]
FORMATS: tuple[Format, ...] = get_args(Format)
_SUFFIXES: Mapping[str, Format] = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".json": "squad",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def format_of(name: str) -> Format:
    """Return what the end of a file's name says. Raises InputError where it says nothing."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise InputError(
            f"{name}: its name does not say what it is. Name the format, or end it in {known}.",
            field="format",
        )
    return _SUFFIXES[suffix]


def extract(
    data: bytes,
    *,
    name: str,
    format: Format,  # noqa: A002 (an option has one name everywhere)
    language: str | None = None,
) -> Iterator[Extracted]:
    """Yield the documents of a file; ``language`` counts where it says nothing itself.

    Raises InputError, or DataError with the lines at fault, naming the file and the page, line or
    field in it.
    """
    several = format in ("squad", "jsonl")
    for part in _READERS[format](data, name):
        yield extracted(
            name=f"{name}:{part.place}" if several else name,
            format=format,
            title=part.title or (f"{name}:{part.place}" if several else ""),
            text=part.text,
            language=part.language or language,
        )


def _text(data: bytes, name: str) -> Iterator[Part]:
    yield Part("", decode(data, name=name))


def _markdown(data: bytes, name: str) -> Iterator[Part]:
    from core.data.documents.marked import Marked

    text = decode(data, name=name).replace("\r\n", "\n")
    marked = Marked(text, name=name)
    yield Part("", marked.text, marked.title)


def _html(data: bytes, name: str) -> Iterator[Part]:
    from core.data.documents.markup import Page, declared_encoding

    page = Page(decode(data, name=name, declared=declared_encoding(data)))
    yield Part("", page.text, page.title, page.language)


def _pdf(data: bytes, name: str) -> Iterator[Part]:
    from core.data.documents.pages import pages, title_of

    text = "\n\n".join(pages(data, name=name))
    yield Part("", text, title_of(data))


_READERS: Mapping[Format, Callable[[bytes, str], Iterator[Part]]] = {
    "text": _text,
    "markdown": _markdown,
    "html": _html,
    "pdf": _pdf,
    "squad": lambda data, name: articles(data, name=name),
    "jsonl": lambda data, name: records(data, name=name),
}
