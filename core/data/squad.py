"""Articles with questions about their paragraphs, as SQuAD and KorQuAD write them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from core.data.answered import Tally, passage_of
from core.data.examples import Passage
from core.errors import DataError


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph of one article, by its number, or what of it could not be read."""

    number: int  # from 1, in the file
    passage: Passage | None = None
    problem: str | None = None


def read_squad(file: BinaryIO, tally: Tally | None = None) -> Iterator[Paragraph]:
    """Yield the paragraphs of ``file`` in their order: SQuAD 1.1, SQuAD 2.0, KorQuAD 1.0.

    The title of an article is that of its paragraphs. What is wrong with an answer, a question
    or a paragraph comes as a problem of its own, with its path in the file, and the rest is kept;
    ``tally`` counts. The whole file is held in memory.
    Raises DataError where it is no such document at all.
    """
    counts = Tally() if tally is None else tally
    number = 0
    for where, article in _listed(_document(file), "data"):
        title = article.get("title") if isinstance(article, dict) else None
        if not isinstance(title, str):
            number += 1
            counts.bad += 1
            yield Paragraph(number, problem=f"{where}: has no title")
            continue
        for inside, value in _listed(article, "paragraphs"):
            number += 1
            read = passage_of(value, counts, title=title)
            if read.passage is not None:
                yield Paragraph(number, read.passage)
            for problem in read.problems:
                yield Paragraph(number, problem=f"{where}.{inside}.{problem}")


def _document(file: BinaryIO) -> dict[str, Any]:
    try:
        value = json.loads(file.read().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error}", field="file") from error
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise DataError("is not a SQuAD document: an object with an array data.", field="file")
    return value


def _listed(value: dict[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    """Yield the members of the array ``name``, each with its path; nothing where it is none."""
    members = value.get(name)
    for number, one in enumerate(members if isinstance(members, list) else ()):
        yield f"{name}[{number}]", one
