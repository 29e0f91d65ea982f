"""Pairs of question and answer: put once however often they are made, and reviewed by people.

An answer is a slice of the text of its document, whoever writes it; every write here checks that.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Select, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.errors import InputError, NotFoundError
from core.storage import documents
from core.storage.tables import GeneratedPair, ReviewState
from core.text.clean import normalise

CHUNK = 500  # pairs written or read in one go
MAX_QUESTION = 4000  # characters
SCORE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_NAMESPACE = UUID("6d0b1c3a-5d5e-5f0a-9c5d-2f1f6a3c7e10")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPair:
    """A pair to be put; without ``answer`` it is whatever stands at its place."""

    document_id: UUID
    question: str
    answer_start: int  # in characters of the document's text
    answer_end: int
    answer: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    job_id: UUID | None = None  # none: a person wrote it
    rank: int = 0  # among the questions of one job about one span


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFilter:
    """Which pairs are meant: those for which all that is told is true."""

    job_id: UUID | None = None
    document_id: UUID | None = None
    reviews: Sequence[ReviewState] = ()
    score: str | None = None  # the name of a score, for ``min_score``
    min_score: float | None = None
    text: str | None = None  # somewhere in question or answer, original or edited
    ids: Sequence[UUID] | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield what SQL has to ask for. Raises InputError for half a score."""
        if (self.score is None) != (self.min_score is None):
            raise InputError("score: it needs min_score, and min_score needs it.", field="score")
        if self.score is not None and not SCORE_NAME.fullmatch(self.score):
            raise InputError(f"score: {self.score!r} is no name of a score.", field="score")
        if self.job_id is not None:
            yield GeneratedPair.job_id == self.job_id
        if self.document_id is not None:
            yield GeneratedPair.document_id == self.document_id
        if self.reviews:
            yield GeneratedPair.review.in_(self.reviews)
        if self.score is not None:
            yield GeneratedPair.scores[self.score].as_float() >= self.min_score
        if self.text:
            columns = (
                GeneratedPair.question,
                GeneratedPair.answer,
                GeneratedPair.edited_question,
                GeneratedPair.edited_answer,
            )
            wanted = normalise(self.text)
            found = [column.icontains(wanted, autoescape=True) for column in columns]
            yield func.coalesce(found[0] | found[1] | found[2] | found[3], False)
        if self.ids is not None:
            yield GeneratedPair.id.in_(self.ids)


ALL = PairFilter()


def identify(pair: NewPair) -> UUID:
    """Return the id of a pair: the same for the same work, on every machine.

    What a job makes is known by job, document, span and rank; what people bring in, by document,
    span and question.
    """
    span = f"{pair.document_id}/{pair.answer_start}/{pair.answer_end}"
    if pair.job_id is not None:
        return uuid5(_NAMESPACE, f"{pair.job_id}/{span}/{pair.rank}")
    return uuid5(_NAMESPACE, f"by hand/{span}/{normalise(pair.question).strip()}")


def put(session: Session, pairs: Iterable[NewPair], *, now: datetime) -> int:
    """Write pairs and return how many were not there yet.

    One that is there is renewed while nobody has reviewed it, and stays as it is afterwards.
    Raises InputError naming the pair, from 0, whose answer is no slice of its document or whose
    question or scores are none, and NotFoundError for documents; nothing of its chunk is written.
    """
    made, begun, rest = 0, 0, iter(pairs)
    while some := list(islice(rest, CHUNK)):
        made += _put_some(session, some, begun=begun, now=now)
        begun += len(some)
    return made


def _put_some(session: Session, some: Sequence[NewPair], *, begun: int, now: datetime) -> int:
    texts = documents.texts(session, {pair.document_id for pair in some}, held=True)
    rows = {}
    for number, pair in enumerate(some, start=begun):
        row = _row(pair, texts[pair.document_id], number=number, now=now)
        rows[row["id"]] = row  # of two that are the same, the last
    count = select(func.count()).select_from(GeneratedPair)
    known = session.scalars(count.where(GeneratedPair.id.in_(rows))).one()
    postgres = session.get_bind().dialect.name == "postgresql"
    insert = (postgresql.insert if postgres else sqlite.insert)(GeneratedPair)
    renewed = {name: insert.excluded[name] for name in ("question", "answer", "scores")}
    session.execute(
        insert.on_conflict_do_update(
            index_elements=[GeneratedPair.id],
            set_=renewed,
            where=GeneratedPair.review == ReviewState.NEW,
        ),
        list(rows.values()),
    )
    return len(rows) - known


def drop_new(session: Session, ids: Sequence[UUID]) -> None:
    """Delete those of some pairs that nobody has reviewed."""
    for first in range(0, len(ids), CHUNK):
        some, new = ids[first : first + CHUNK], GeneratedPair.review == ReviewState.NEW
        session.execute(delete(GeneratedPair).where(GeneratedPair.id.in_(some), new))


def check(pair: NewPair, text: str, *, within: str = "") -> tuple[str, str]:
    """Return question and answer as they are kept; ``text`` is that of the document.

    Raises InputError naming the field that is wrong, below ``within``.
    """
    prefix = f"{within}." if within else ""
    answer = slice_of(text, pair.answer_start, pair.answer_end, within=within)
    if pair.answer is not None and pair.answer != answer:
        raise InputError(
            f"{prefix}answer: it is not what the document has at {pair.answer_start} to "
            f"{pair.answer_end}, which is {answer[:80]!r}.",
            field=f"{prefix}answer",
        )
    for name, score in pair.scores.items():
        if not (SCORE_NAME.fullmatch(name) and math.isfinite(score)):
            raise InputError(
                f"{prefix}scores: {name!r} is no name, or {score} no number.",
                field=f"{prefix}scores",
            )
    return question_of(pair.question, within=within), answer


def _row(pair: NewPair, text: str, *, number: int, now: datetime) -> dict[str, object]:
    question, answer = check(pair, text, within=f"pairs[{number}]")
    return {
        "id": identify(pair),
        "job_id": pair.job_id,
        "document_id": pair.document_id,
        "rank": pair.rank,
        "question": question,
        "answer": answer,
        "answer_start": pair.answer_start,
        "answer_end": pair.answer_end,
        "scores": dict(pair.scores),
        "review": ReviewState.NEW,
        "created_at": now,
    }


def slice_of(text: str, start: int, end: int, *, within: str = "") -> str:
    """Return an answer by its place. Raises InputError where there is none or only blanks."""
    name = f"{within}.answer_start" if within else "answer_start"
    if not 0 <= start < end <= len(text):
        raise InputError(
            f"{name}: {start} to {end} is no place in a text of {len(text)} characters.",
            field=name,
        )
    answer = text[start:end]
    if not answer.strip():
        raise InputError(f"{name}: there are only blanks at {start} to {end}.", field=name)
    return answer


def question_of(question: str, *, within: str = "") -> str:
    """Return a question as it is kept. Raises InputError where it is none."""
    name = f"{within}.question" if within else "question"
    kept = normalise(question).strip()
    if not kept or "\0" in kept or len(kept) > MAX_QUESTION:
        raise InputError(
            f"{name}: a question has 1 to {MAX_QUESTION} characters and no NUL.", field=name
        )
    return kept


def get(session: Session, pair_id: UUID) -> GeneratedPair:
    """Return the pair. Raises NotFoundError."""
    query = select(GeneratedPair).where(GeneratedPair.id == pair_id)
    pair = session.scalars(query).one_or_none()
    if pair is None:
        raise NotFoundError("pair", pair_id)
    return pair


def page(
    session: Session, wanted: PairFilter = ALL, *, after: UUID | None = None, limit: int
) -> list[GeneratedPair]:
    """List pairs document by document, in the order of their answers there.

    ``after`` is the last id of the page before; raises NotFoundError when that one is gone.
    """
    query = select(GeneratedPair).where(*wanted.conditions())
    if after is not None:
        query = _after(query, get(session, after))
    return list(session.scalars(query.order_by(*_ORDER).limit(limit)))


def chunk(
    session: Session, wanted: PairFilter = ALL, *, after: GeneratedPair | None = None
) -> list[GeneratedPair]:
    """Return the next pairs in the order of ``page``, whatever became of ``after`` meanwhile."""
    query = select(GeneratedPair).where(*wanted.conditions())
    if after is not None:
        query = _after(query, after)
    return list(session.scalars(query.order_by(*_ORDER).limit(CHUNK)))


def counts(session: Session, wanted: PairFilter = ALL) -> dict[ReviewState, int]:
    """Return how many pairs are in each state of review."""
    query = select(GeneratedPair.review, func.count()).where(*wanted.conditions())
    found = dict(session.execute(query.group_by(GeneratedPair.review)).all())
    return {state: found.get(state, 0) for state in ReviewState}


def count_documents(session: Session, wanted: PairFilter = ALL) -> int:
    """Return how many documents pairs are about."""
    query = select(func.count(GeneratedPair.document_id.distinct())).where(*wanted.conditions())
    return session.scalars(query).one()


_ORDER = (GeneratedPair.document_id, GeneratedPair.answer_start, GeneratedPair.id)


def _after(query: Select[GeneratedPair], last: GeneratedPair) -> Select[GeneratedPair]:
    return query.where(tuple_(*_ORDER) > (last.document_id, last.answer_start, last.id))
