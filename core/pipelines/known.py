"""Questions that people have kept, to be found by what is nearly the same."""

from uuid import UUID

from sqlalchemy.orm import Session, sessionmaker

from core.data.neighbours import Neighbours
from core.pipelines.pairs import each
from core.storage.pairs import PairFilter
from core.storage.reviews import KEPT, current

KEPT_ONLY = PairFilter(reviews=KEPT)


def questions_of(
    sessions: sessionmaker[Session], wanted: PairFilter = KEPT_ONLY
) -> Neighbours[UUID]:
    """Return the questions of pairs, those that were kept if nothing else is told, to be found.

    The keys are the ids of the pairs, whose answers may answer what is nearly the same.
    """
    return Neighbours((pair.id, current(pair).question) for pair in each(sessions, wanted))
