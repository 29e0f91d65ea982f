"""Pairs out to files and corpora, and in from files."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from typing import BinaryIO
from uuid import UUID

from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import Session, sessionmaker

from core.data.exports import ExportedPair
from core.data.lines import RawLine, lines
from core.data.passages import around, passages
from core.errors import DataError, InputError, NotFoundError
from core.pipelines.importing import ImportRequest, import_corpus
from core.specs import PassageSpec
from core.storage import documents, pairs
from core.storage.pairs import ALL, CHUNK, NewPair, PairFilter
from core.storage.reviews import current
from core.storage.tables import Corpus, GeneratedPair
from core.text.clean import normalise

SHOWN = 20  # bad lines that an error lists


def export(sessions: sessionmaker[Session], wanted: PairFilter = ALL) -> Iterator[ExportedPair]:
    """Yield pairs as they are now, document by document; no transaction stays open in between."""
    for document_id, of_one in groupby(each(sessions, wanted), lambda pair: pair.document_id):
        try:
            with sessions() as session:
                document = _Contexts(session, document_id)
        except NotFoundError:  # it was deleted, and its pairs with it, since they were read
            continue
        yield from map(document.exported, of_one)


def each(sessions: sessionmaker[Session], wanted: PairFilter = ALL) -> Iterator[GeneratedPair]:
    """Yield pairs in their order, few in memory at a time."""
    after: GeneratedPair | None = None
    while True:
        with sessions() as session:
            found = pairs.chunk(session, wanted, after=after)
        yield from found
        if len(found) < CHUNK:
            return
        after = found[-1]


def to_corpus(
    sessions: sessionmaker[Session],
    wanted: PairFilter,
    *,
    request: ImportRequest,
    now: datetime,
    finishing: Callable[[Session, Corpus], None] = lambda *_: None,
) -> Corpus:
    """Make pairs the next version of a corpus, questions to answers, as an import makes it.

    Raises InputError where there are too few of them.
    """
    with tempfile.TemporaryFile(prefix="malgil-") as file:
        for pair in each(sessions, wanted):
            said = current(pair)
            line = {"source": said.question, "target": said.answer}
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        return import_corpus(
            [("pairs.jsonl", file)],
            request=request,
            sessions=sessions,
            now=now,
            finishing=finishing,
        )


@dataclass(frozen=True, slots=True)
class BroughtIn:
    """How many pairs a file had, and how many of them were not there before."""

    read: int
    new: int


def bring_in(
    file: BinaryIO,
    *,
    name: str,
    sessions: sessionmaker[Session],
    now: datetime,
    finishing: Callable[[Session, BroughtIn], None] = lambda *_: None,
) -> BroughtIn:
    """Keep the pairs of a file of JSON lines, in one transaction, or none of them.

    A line has ``document_id``, ``question``, and ``answer_start`` and ``answer_end`` or, where it
    stands in the document only once, the ``answer``; with a place the answer is checked. ``scores``
    may be there, and other fields are left aside. Raises DataError listing the first bad lines.
    """
    bad: list[tuple[int, str]] = []
    read = new = 0
    with sessions.begin() as session:
        file.seek(0)
        rest = (line for line in lines(file) if line.problem or line.text.strip())
        while some := list(islice(rest, CHUNK)):
            good = list(_checked(session, some, bad))
            read += len(some)
            if len(bad) > SHOWN:
                break
            new += pairs.put(session, good, now=now)
        if bad:
            raise DataError(
                f"{name}: {len(bad)} of the first {read} lines are no pairs.",
                lines=sorted(bad)[:SHOWN],
                field="file",
            )
        if not read:
            raise InputError(f"{name}: there are no pairs in it.", field="file")
        brought = BroughtIn(read, new)
        finishing(session, brought)
    return brought


class _Line(BaseModel):
    document_id: UUID
    question: str
    answer: str | None = None
    answer_start: int | None = None
    answer_end: int | None = None
    scores: dict[str, float] = {}


def _checked(
    session: Session, some: Sequence[RawLine], bad: list[tuple[int, str]]
) -> Iterator[NewPair]:
    """Yield the pairs of some lines; those that are none go to ``bad``."""
    parsed: list[tuple[int, _Line]] = []
    for raw in some:
        try:
            parsed.append((raw.number, _parsed(raw)))
        except InputError as error:
            bad.append((raw.number, str(error)))
    texts = documents.known_texts(session, {line.document_id for _, line in parsed})
    for number, line in parsed:
        try:
            yield _placed(line, texts)
        except InputError as error:
            bad.append((number, str(error)))


def _parsed(line: RawLine) -> _Line:
    if line.problem:
        raise InputError(line.problem)
    try:
        return _Line.model_validate_json(line.text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{field}: {first['msg']}" if field else first["msg"]) from error


def _placed(line: _Line, texts: dict[UUID, str]) -> NewPair:
    """Return the pair of a line, its answer found in the document."""
    text = texts.get(line.document_id)
    if text is None:
        raise InputError(f"document_id: there is no document {str(line.document_id)!r}")
    start, end = line.answer_start, line.answer_end
    answer = None if line.answer is None else normalise(line.answer)
    if start is None and end is None:
        start, end = _place_of(answer, text)
    if start is None or end is None:
        raise InputError("answer_start: it needs answer_end, and answer_end needs it")
    pair = NewPair(
        document_id=line.document_id,
        question=line.question,
        answer_start=start,
        answer_end=end,
        answer=answer,
        scores=line.scores,
    )
    pairs.check(pair, text)
    return pair


def _place_of(answer: str | None, text: str) -> tuple[int, int]:
    if not answer:
        raise InputError("answer_start: the place of the answer is missing, and so is the answer")
    start = text.find(answer)
    if start < 0:
        raise InputError("answer: it is not in the document")
    if text.find(answer, start + 1) >= 0:
        raise InputError("answer: it is in the document more than once; tell its place")
    return start, start + len(answer)


class _Contexts:
    """One document, and which part of it surrounds an answer."""

    def __init__(self, session: Session, document_id: UUID) -> None:
        document = documents.get(session, document_id, with_text=True)
        self.id = document_id
        self._title, self._language = document.title, document.language
        self._text = document.text
        self._passages = list(passages(document.text, PassageSpec()))

    def exported(self, pair: GeneratedPair) -> ExportedPair:
        """Return a pair of this document with the passages around its answer."""
        said = current(pair)
        context = around(self._passages, said.answer_start, said.answer_end)
        return ExportedPair(
            id=str(pair.id),
            document_id=str(self.id),
            title=self._title,
            language=self._language,
            question=said.question,
            answer=said.answer,
            answer_start=said.answer_start,
            answer_end=said.answer_end,
            review=pair.review.value,
            reviewed_by=pair.reviewed_by,
            scores=pair.scores,
            context=context.of(self._text),
            context_start=context.start,
        )
