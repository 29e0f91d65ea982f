"""Pairs to files for other programs, piece by piece, with few of them in memory."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from itertools import groupby
from typing import Any, Literal

ExportFormat = Literal["squad", "squad-v2", "csv", "jsonl", "anki"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedPair:
    """A pair as it is now, the document that it is about, and the passage around its answer."""

    id: str
    document_id: str
    title: str
    language: str | None
    question: str
    answer: str
    answer_start: int  # in characters of the document
    answer_end: int
    review: str
    reviewed_by: str | None
    scores: Mapping[str, float]
    context: str
    context_start: int  # where ``context`` begins in the document


def written(pairs: Iterable[ExportedPair], format: ExportFormat) -> Iterator[str]:  # noqa: A002 (an option has one name everywhere)
    """Yield the pieces of a file; pairs of one document follow each other."""
    return _WRITERS[format](pairs)


def _squad(pairs: Iterable[ExportedPair], *, version: str, **more: Any) -> Iterator[str]:
    """Yield SQuAD: an article for each document, a paragraph for each passage, one answer each.

    Source: Rajpurkar et al. 2016 and 2018; ``answer_start`` counts characters of the context.
    """
    yield f'{{"version": "{version}", "data": ['
    for number, (_, of_one) in enumerate(groupby(pairs, key=lambda pair: pair.document_id)):
        yield ", " if number else ""
        yield from _article(of_one, more)
    yield "]}\n"


def _article(pairs: Iterator[ExportedPair], more: dict[str, Any]) -> Iterator[str]:
    for number, (context, of_one) in enumerate(groupby(pairs, key=lambda pair: pair.context)):
        questions = []
        for pair in of_one:
            start = pair.answer_start - pair.context_start
            answers = [{"text": pair.answer, "answer_start": start}]
            questions.append({"id": pair.id, "question": pair.question, "answers": answers, **more})
        if number == 0:
            yield f'{{"title": {_json(pair.title)}, "paragraphs": ['
        yield (", " if number else "") + _json({"context": context, "qas": questions})
    yield "]}"


_COLUMNS = (
    "id",
    "document_id",
    "title",
    "question",
    "answer",
    "answer_start",
    "answer_end",
    "review",
    "reviewed_by",
)


def _csv(pairs: Iterable[ExportedPair]) -> Iterator[str]:
    """Yield RFC 4180 with a header; scores as JSON."""
    yield _row([*_COLUMNS, "scores"])
    for pair in pairs:
        yield _row([*(getattr(pair, name) for name in _COLUMNS), _json(dict(pair.scores))])


def _jsonl(pairs: Iterable[ExportedPair]) -> Iterator[str]:
    for pair in pairs:
        told = {name: getattr(pair, name) for name in (*_COLUMNS, "language")}
        yield _json({**told, "scores": dict(pair.scores)}) + "\n"


def _anki(pairs: Iterable[ExportedPair]) -> Iterator[str]:
    """Yield text for Anki's importer; the title of the document is the tag.

    Source: the manual of Anki, importing text files, file headers.
    """
    yield "#separator:tab\n#html:false\n#columns:Question\tAnswer\tTags\n#tags column:3\n"
    for pair in pairs:
        tag = "_".join(pair.title.split())
        yield _row([pair.question, pair.answer, tag], delimiter="\t", quoting=csv.QUOTE_ALL)


def _row(fields: Iterable[object], **how: Any) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="\n" if "delimiter" in how else "\r\n", **how).writerow(fields)
    return line.getvalue()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


_WRITERS: Mapping[ExportFormat, Callable[[Iterable[ExportedPair]], Iterator[str]]] = {
    "squad": lambda pairs: _squad(pairs, version="1.1"),
    "squad-v2": lambda pairs: _squad(pairs, version="v2.0", is_impossible=False),
    "csv": _csv,
    "jsonl": _jsonl,
    "anki": _anki,
}
