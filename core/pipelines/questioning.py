"""Texts in, questions about slices of them out: proposed, asked, found again and sifted."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from core.data.passages import passages
from core.data.spans import Span
from core.metrics.spans import answer_f1
from core.pipelines.asking import FoundAnswer, Proposal, WrittenQuestion, ask, find, propose
from core.pipelines.bundle import Bundle
from core.pipelines.sifting import Candidate, sift
from core.specs import GenerateSpec, lay_over

PASSAGES = 32  # that are asked about side by side


@dataclass(frozen=True, slots=True)
class Questions:
    """What is kept of one text, and how much there was."""

    kept: list[Candidate]
    passages: int
    asked: int  # questions, kept or not
    dropped: Counter[str]


@dataclass(slots=True)
class Seconds:
    """Where the time went."""

    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Count what is done in the block as time of ``part``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.spent[part] += time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class _Place:
    """A passage: which one of which text, and where it stands there."""

    text: int
    number: int
    span: Span
    words: str


def question_texts(
    bundle: Bundle, texts: Sequence[str], spec: GenerateSpec, seconds: Seconds | None = None
) -> list[Questions]:
    """Return the questions about each text; what is worked on beside it changes nothing.

    ``seconds`` is told the time of ``model`` and ``filters``. Raises SpecError where
    ``spec.decode`` makes no sense for the model.
    """
    watch = seconds or Seconds()
    found: list[list[Candidate]] = [[] for _ in texts]
    counted: Counter[int] = Counter()
    places = _places(texts, spec)
    while some := list(islice(places, PASSAGES)):
        counted.update(place.text for place in some)
        with watch.of("model"):
            asked = list(_ask(bundle, some, spec))
        for place, candidate in asked:
            found[place.text].append(candidate)
    with watch.of("filters"):
        sifted = [sift(candidates, spec) for candidates in found]
    return [
        Questions(one.kept, counted[number], len(found[number]), one.dropped)
        for number, one in enumerate(sifted)
    ]


def _places(texts: Sequence[str], spec: GenerateSpec) -> Iterator[_Place]:
    for text, whole in enumerate(texts):
        for number, span in enumerate(passages(whole, spec.passages)):
            yield _Place(text, number, span, span.of(whole))


def _ask(
    bundle: Bundle, places: Sequence[_Place], spec: GenerateSpec
) -> Iterator[tuple[_Place, Candidate]]:
    """Yield questions about some passages, each with its own."""
    decode = lay_over(bundle.plan.decode, {"n_best": spec.questions, **spec.decode})
    proposed = propose(bundle, [place.words for place in places], count=spec.answers)
    about = [
        (place, proposal) for place, some in zip(places, proposed, strict=True) for proposal in some
    ]
    written = ask(bundle, [(place.words, one.span) for place, one in about], decode)
    asked = [
        (place, proposal, rank, question)
        for (place, proposal), some in zip(about, written, strict=True)
        for rank, question in enumerate(some[: spec.questions])
    ]
    answers = find(bundle, [(place.words, question.text) for place, _, _, question in asked])
    for (place, proposal, rank, question), answer in zip(asked, answers, strict=True):
        yield place, _candidate(place, proposal, rank, question, answer)


def _candidate(
    place: _Place, proposal: Proposal, rank: int, question: WrittenQuestion, found: FoundAnswer
) -> Candidate:
    answer, begins = proposal.span.of(place.words), place.span.start
    return Candidate(
        passage=place.number,
        span=Span(begins + proposal.span.start, begins + proposal.span.end),
        answer=answer,
        question=question.text,
        rank=rank,
        proposal=proposal.log_prob,
        score=question.score,
        log_prob=question.log_prob,
        unknown=question.unknown,
        round_trip=answer_f1(found.span.of(place.words), [answer]),
        reading=found.log_prob,
    )
