"""Files to documents: everything is read before anything is written."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import BinaryIO, TextIO

from sqlalchemy.orm import Session, sessionmaker

from core.data.documents import Extracted, Format, clean_name, clean_title, format_of
from core.data.documents.apart import extract_apart
from core.errors import InputError
from core.storage import documents
from core.storage.tables import Document


@dataclass(frozen=True, slots=True)
class Collected:
    """A document, and whether it was not there before."""

    document: Document
    new: bool


def collect(
    files: Sequence[tuple[str, BinaryIO]],
    *,
    format: Format | None = None,  # noqa: A002 (an option has one name everywhere)
    title: str | None = None,
    language: str | None = None,
    sessions: sessionmaker[Session],
    now: datetime,
    finishing: Callable[[Session, Sequence[Collected]], None] = lambda *_: None,
) -> list[Collected]:
    """Keep the documents of ``files``, (name, content) each; in one transaction, or none of them.

    Without ``format`` the end of each name says it. ``title`` is that of a single document,
    ``language`` that of all which do not say it themselves. ``finishing`` is done in the same
    transaction. Raises InputError and DataError naming the file, and what is wrong in it.
    """
    if not files:
        raise InputError("There is no file to read.", field="file")
    named = [(clean_name(name), file) for name, file in files]
    formats = [format or format_of(name) for name, _ in named]
    with tempfile.TemporaryFile("w+", encoding="utf-8", prefix="malgil-") as spool:
        count = 0
        for (name, file), kind in zip(named, formats, strict=True):
            size = file.seek(0, 2)
            for found in extract_apart(file, name=name, format=kind, language=language):
                json.dump([size, asdict(found)], spool, ensure_ascii=False)
                spool.write("\n")
                count += 1
        if title is not None and count > 1:
            raise InputError(f"title: there are {count} documents.", field="title")
        with sessions.begin() as session:
            kept = [
                _keep(session, found, size=size, title=title, now=now)
                for size, found in _spooled(spool)
            ]
            finishing(session, kept)
    return kept


def _spooled(spool: TextIO) -> Iterator[tuple[int, Extracted]]:
    spool.seek(0)
    for line in spool:
        size, found = json.loads(line)
        yield size, Extracted(**found)


def _keep(
    session: Session, found: Extracted, *, size: int, title: str | None, now: datetime
) -> Collected:
    document, new = documents.add(
        session,
        title=clean_title(title or "") or found.title,
        text=found.text,
        language=found.language,
        name=found.name,
        format=found.format,
        bytes_=size,
        now=now,
    )
    return Collected(document, new)
