"""What people make of pairs: accepted, rejected, edited, or back to new."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from core.errors import InputError, NotFoundError
from core.storage import documents
from core.storage.pairs import PairFilter, get, question_of, slice_of
from core.storage.session import locked
from core.storage.tables import Document, GeneratedPair, ReviewState

KEPT = (ReviewState.ACCEPTED, ReviewState.EDITED)


def edit(
    session: Session,
    pair_id: UUID,
    *,
    question: str | None = None,
    answer_start: int | None = None,
    answer_end: int | None = None,
    by: str | None,
    now: datetime,
) -> GeneratedPair:
    """Keep beside the pair what a person made of it; what is not told stays as it last was.

    Where nothing is left of an edit the pair is accepted as it was. Raises NotFoundError, and
    InputError where the answer is no slice of the document.
    """
    pair = _held(session, pair_id)
    question = question_of(current(pair).question if question is None else question)
    start = current(pair).answer_start if answer_start is None else answer_start
    end = current(pair).answer_end if answer_end is None else answer_end
    text = documents.texts(session, [pair.document_id])[pair.document_id]
    answer = slice_of(text, start, end)
    if (question, start, end) == (pair.question, pair.answer_start, pair.answer_end):
        _forget_edit(pair)
        pair.review = ReviewState.ACCEPTED
    else:
        pair.edited_question, pair.edited_answer = question, answer
        pair.edited_start, pair.edited_end = start, end
        pair.review = ReviewState.EDITED
    pair.reviewed_by, pair.reviewed_at = by, now
    session.flush()
    return pair


def review(
    session: Session, pair_id: UUID, verdict: ReviewState, *, by: str | None, now: datetime
) -> GeneratedPair:
    """Accept or reject a pair, or make it new again, which forgets what was edited.

    A pair that was edited is accepted as edited. Raises NotFoundError, and InputError for
    ``edited``, which says nothing without an edit.
    """
    if not review_many(session, PairFilter(ids=[pair_id]), verdict, by=by, now=now):
        raise NotFoundError("pair", pair_id)
    return get(session, pair_id)


def review_many(
    session: Session, wanted: PairFilter, verdict: ReviewState, *, by: str | None, now: datetime
) -> int:
    """Do as ``review`` does with all pairs that are meant; return how many there are."""
    query = update(GeneratedPair).where(*wanted.conditions())
    query = query.execution_options(synchronize_session=False)
    match verdict:
        case ReviewState.EDITED:
            raise InputError("review: edited needs what was edited.", field="review")
        case ReviewState.ACCEPTED:
            edited = GeneratedPair.edited_question.is_not(None)
            state = case((edited, ReviewState.EDITED), else_=ReviewState.ACCEPTED)
            query = query.values(review=state, reviewed_by=by, reviewed_at=now)
        case ReviewState.REJECTED:
            query = query.values(review=verdict, reviewed_by=by, reviewed_at=now)
        case ReviewState.NEW:
            query = query.values(
                review=verdict,
                reviewed_by=None,
                reviewed_at=None,
                edited_question=None,
                edited_answer=None,
                edited_start=None,
                edited_end=None,
            )
    return len(session.scalars(query.returning(GeneratedPair.id)).all())


@dataclass(frozen=True, slots=True)
class KeptMark:
    """What changes whenever something is kept or kept no longer, but for two at one moment."""

    count: int
    newest: datetime | None  # when the newest of them was reviewed


def kept_mark(session: Session) -> KeptMark:
    """Return by what to see whether kept pairs are still those that they were."""
    query = select(func.count(), func.max(GeneratedPair.reviewed_at))
    return KeptMark(*session.execute(query.where(GeneratedPair.review.in_(KEPT))).one())


def kept_when(session: Session) -> dict[UUID, datetime | None]:
    """Return which pairs are kept, and when each was reviewed."""
    query = select(GeneratedPair.id, GeneratedPair.reviewed_at)
    return dict(session.execute(query.where(GeneratedPair.review.in_(KEPT))).all())


def kept(session: Session, ids: Collection[UUID]) -> list[tuple[GeneratedPair, str]]:
    """Return those of some pairs that are kept, each with the title of its document."""
    query = select(GeneratedPair, Document.title).join(
        Document, Document.id == GeneratedPair.document_id
    )
    those = GeneratedPair.id.in_(ids), GeneratedPair.review.in_(KEPT)
    return [(pair, title) for pair, title in session.execute(query.where(*those))]


@dataclass(frozen=True, slots=True)
class Current:
    """What a pair says now: as it was edited, or as it was put."""

    question: str
    answer: str
    answer_start: int
    answer_end: int


def current(pair: GeneratedPair) -> Current:
    """Return what ``pair`` says now."""
    match pair.edited_question, pair.edited_answer, pair.edited_start, pair.edited_end:
        case str(question), str(answer), int(start), int(end):
            return Current(question, answer, start, end)
    return Current(pair.question, pair.answer, pair.answer_start, pair.answer_end)


def _held(session: Session, pair_id: UUID) -> GeneratedPair:
    query = locked(select(GeneratedPair).where(GeneratedPair.id == pair_id))
    pair = session.scalars(query).one_or_none()
    if pair is None:
        raise NotFoundError("pair", pair_id)
    return pair


def _forget_edit(pair: GeneratedPair) -> None:
    pair.edited_question = pair.edited_answer = None
    pair.edited_start = pair.edited_end = None
