"""Which of the questions that a model asks are kept: those that pass every test of a spec."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.kinds import kind_of
from core.data.neighbours import Neighbours
from core.data.spans import Span
from core.specs import GenerateSpec
from core.text.particles import without_particle

# How much the reader's word counts beside the writer's. With it, the order of questions that are
# found again goes with their likeness to people's own by a rank correlation of 0.41; else 0.37
READING = 0.1
_LONGER = re.compile(r"\w{4,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A question about a slice of a document, and what its model and its reader say of it."""

    passage: int  # which one of its document, from 0
    span: Span  # in characters of the document
    answer: str
    question: str
    rank: int  # among the questions about this answer
    proposal: float  # log probability of the answer to be asked about
    score: float  # of the question, by which those about one answer are ranked
    log_prob: float  # of all its words
    unknown: int  # words that the model has no word for
    round_trip: float  # F1 of what the reader takes for the answer
    reading: float  # log probability of that

    @property
    def scores(self) -> dict[str, float]:
        """All that is known of it, by name."""
        return {
            "proposal": self.proposal,
            "score": self.score,
            "log_prob": self.log_prob,
            "unknown": float(self.unknown),
            "round_trip": self.round_trip,
            "reading": self.reading,
        }


@dataclass(frozen=True, slots=True)
class Sifted:
    """What is kept, in the order of the text, and why the rest was dropped."""

    kept: list[Candidate]
    dropped: Counter[str]


def sift(candidates: Sequence[Candidate], spec: GenerateSpec) -> Sifted:
    """Return which questions about one document are kept.

    The better ones come first: by how well the reader finds the answer again, then by how likely
    question and answer are. It depends on nothing but the candidates and the spec.
    """
    kept: list[Candidate] = []
    dropped: Counter[str] = Counter()
    known: Neighbours[int] = Neighbours()
    in_passage: Counter[int] = Counter()
    of_kind: Counter[str] = Counter()
    good = []
    for candidate in candidates:
        reason = _fault(candidate, spec)
        if reason:
            dropped[reason] += 1
        else:
            good.append(candidate)
    most = max(1, round(spec.per_kind * len(good)))
    for candidate in sorted(good, key=_worth):
        kind = kind_of(candidate.question)
        if known.nearest(candidate.question, least=spec.alike) is not None:
            dropped["alike"] += 1
        elif in_passage[candidate.passage] == spec.per_passage:
            dropped["passage is full"] += 1
        elif of_kind[kind] == most:
            dropped["too many of a kind"] += 1
        else:
            known.add(len(kept), candidate.question)
            in_passage[candidate.passage] += 1
            of_kind[kind] += 1
            kept.append(candidate)
    return Sifted(sorted(kept, key=_place), dropped)


def tells_its_answer(question: str, answer: str) -> bool:
    """Return whether all letters of the answer stand in the question, in one run.

    A Korean particle behind the answer does not count: 인터프리터를 is told by 인터프리터는.
    """
    asked, told = _letters(question), _letters(answer)
    noun = without_particle(told)
    return bool(told) and (told in asked or (len(noun) > 1 and noun in asked))


def says_a_word_twice(question: str) -> bool:
    """Return whether a question repeats one of its longer words, as stuttering models do."""
    words = _LONGER.findall(question.casefold())
    return len(set(words)) < len(words)


def _fault(candidate: Candidate, spec: GenerateSpec) -> str:
    """Return why a question is dropped, whatever else there is; empty if it is not."""
    question, fluency = candidate.question, spec.fluency
    faults = {
        "empty": not any(letter.isalnum() for letter in question),
        "unknown words": candidate.unknown > 0,
        "tells its answer": tells_its_answer(question, candidate.answer),
        "not found again": candidate.round_trip < spec.round_trip,
        "not fluent": fluency is not None and candidate.score < fluency,
        "says a word twice": not spec.repeats and says_a_word_twice(question),
    }
    return next((reason for reason, found in faults.items() if found), "")


def _worth(candidate: Candidate) -> tuple[float, float, tuple[int, int, int]]:
    certain = candidate.score + READING * candidate.reading
    return -candidate.round_trip, -certain, _place(candidate)


def _place(candidate: Candidate) -> tuple[int, int, int]:
    return candidate.span.start, candidate.span.end, candidate.rank


def _letters(text: str) -> str:
    return " ".join("".join(one if one.isalnum() else " " for one in text.casefold()).split())
