"""Questions that people have kept, and their answers, found by what is nearly the same."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID

from sqlalchemy.orm import Session, sessionmaker

from core.data.neighbours import Neighbours
from core.specs import KeptSpec
from core.storage import reviews
from core.storage.pairs import CHUNK
from core.storage.reviews import KeptMark, current
from core.storage.tables import GeneratedPair

SETTLED = timedelta(minutes=1)  # longer than any transaction that reviews
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """A pair as a person left it, and where its answer stands."""

    pair_id: UUID
    job_id: UUID | None
    document_id: UUID
    title: str  # of the document
    question: str
    answer: str
    answer_start: int  # in characters of the document's text
    answer_end: int


@dataclass(frozen=True, slots=True)
class Found:
    """A kept answer, and how much its question is like the one that was asked: 1 is the same."""

    kept: KeptAnswer
    similarity: float


class Known:
    """All that people have kept, in memory, some 10 KB a pair, as it was at the last ``refresh``.

    Safe in several threads: looking waits for the change of a single question at most.
    """

    def __init__(self, sessions: sessionmaker[Session], *, now: Callable[[], datetime]) -> None:
        """``now`` is by the clock of the database."""
        self._sessions = sessions
        self._now = now
        self._questions: Neighbours[UUID] = Neighbours()
        self._answers: dict[UUID, KeptAnswer] = {}
        self._reviewed: dict[UUID, datetime | None] = {}
        self._mark: KeptMark | None = None
        self._settled = False
        self._looking, self._refreshing = Lock(), Lock()

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self._answers)

    def refresh(self) -> None:
        """Take in what was kept, edited, rejected or deleted since; only that is read."""
        with self._refreshing:
            now = self._now()
            with self._sessions() as session:
                mark = reviews.kept_mark(session)
                if mark == self._mark and self._settled:
                    return
                reviewed = reviews.kept_when(session)
            for key in self._reviewed.keys() - reviewed.keys():
                self._forget(key)
            changed = [key for key in reviewed if reviewed[key] != self._reviewed.get(key)]
            for begin in range(0, len(changed), CHUNK):
                with self._sessions() as session:
                    found = reviews.kept(session, changed[begin : begin + CHUNK])
                for pair, title in found:
                    self._take_in(pair, title)
            self._mark = mark
            # what began to be written before the newest review may yet appear behind it
            self._settled = mark.newest is None or now - mark.newest > SETTLED

    def like(self, question: str, wanted: KeptSpec) -> list[Found]:
        """Return what answers ``question`` as far as ``wanted`` goes, the most alike first.

        A question with other numbers in it is another question, however alike it is.
        """
        with self._looking:
            near = self._questions.like(question, least=wanted.least)
            found = [Found(self._answers[one.key], one.similarity) for one in near]
        numbers = set(_NUMBER.findall(question))
        return [
            one
            for one in found
            if wanted.job_id in (None, one.kept.job_id)
            and wanted.document_id in (None, one.kept.document_id)
            and set(_NUMBER.findall(one.kept.question)) == numbers
        ]

    def _take_in(self, pair: GeneratedPair, title: str) -> None:
        said = current(pair)
        answer = KeptAnswer(
            pair_id=pair.id,
            job_id=pair.job_id,
            document_id=pair.document_id,
            title=title,
            question=said.question,
            answer=said.answer,
            answer_start=said.answer_start,
            answer_end=said.answer_end,
        )
        with self._looking:
            self._questions.add(pair.id, said.question)
            self._answers[pair.id] = answer
        self._reviewed[pair.id] = pair.reviewed_at

    def _forget(self, pair_id: UUID) -> None:
        with self._looking:
            self._questions.remove(pair_id)
            del self._answers[pair_id]
        del self._reviewed[pair_id]
