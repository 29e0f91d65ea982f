"""Pairs out to files and corpora, and in from files."""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, BinaryIO
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
    """Make pairs the next version of a corpus, as an import makes it.

    Pairs of the kind ``pairs`` are questions to answers; of the kind ``passages`` what stands
    around the answers, and the questions about it. Raises InputError where there are too few.
    """
    lines = _asked_of_passages if request.kind == "passages" else _questions_to_answers
    with tempfile.TemporaryFile(prefix="malgil-") as file:
        for line in lines(sessions, wanted):
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        return import_corpus(
            [("pairs.jsonl", file)],
            request=request,
            sessions=sessions,
            now=now,
            finishing=finishing,
        )


def _questions_to_answers(
    sessions: sessionmaker[Session], wanted: PairFilter
) -> Iterator[dict[str, Any]]:
    for said in map(current, each(sessions, wanted)):
        yield {"source": said.question, "target": said.answer}


def _asked_of_passages(
    sessions: sessionmaker[Session], wanted: PairFilter
) -> Iterator[dict[str, Any]]:
    """Yield passages with all that is asked of them; those of one document share its title.

    Those of a single document go without: what shares a title is never parted, and nothing could
    be held out.
    """
    with sessions() as session:
        several = pairs.count_documents(session, wanted) > 1
    place = attrgetter("context_start", "context")
    for _, of_document in groupby(export(sessions, wanted), attrgetter("document_id")):
        for (begin, context), asked in groupby(sorted(of_document, key=place), place):
            title, questions = "", defaultdict(list)
            for pair in asked:
                title = pair.title if several else ""
                span = {"start": pair.answer_start - begin, "end": pair.answer_end - begin}
                questions[pair.question].append(span)
            told = [{"question": one, "answers": spans} for one, spans in questions.items()]
            yield {"title": title, "context": context, "questions": told}


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
