"""Passages in, answers and questions out: what the parts of a model that asks are called for.

Every offset counts characters of the passage as it was given. Each result depends on the bundle
and its own passage alone, and not on what is worked on beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from core.data.batches import pad_sources
from core.data.marks import with_answer
from core.data.readings import Reading, read_passage
from core.data.spans import Span
from core.decoding.engine import Ended, Failed
from core.decoding.step import SIGNS, Hypothesis
from core.errors import InputError
from core.models.asker import Asker
from core.models.proposers import NEVER, best_spans
from core.pipelines.bundle import Bundle
from core.pipelines.questions import Question, engine_of
from core.pipelines.wishes import stops_of, wish_of
from core.specs import DecodeSpec
from core.text.located import Located
from core.text.stream import cut
from core.text.tokenizer import BOS, EOS, UNK, Tokenizer
from core.text.words import borders_of

ROWS = 32  # read side by side
TOKENS = 16_384  # padded ones at most, unless one passage alone has more
UNKNOWN = b" <unk>"  # how a word is told that the model has no word for


@dataclass(frozen=True, slots=True)
class Proposal:
    """A part of a passage that may be asked about."""

    span: Span
    log_prob: float  # by the proposer: beside other spans of the same passage it says more or less


@dataclass(frozen=True, slots=True)
class WrittenQuestion:
    """A question about an answer in a passage."""

    text: str
    score: float  # what candidates are ranked by
    log_prob: float  # of all its words and its end
    unknown: int  # words of it that the model has no word for


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """Where the reader sees the answer to a question; empty where it sees nothing but space."""

    span: Span
    log_prob: float


def propose(bundle: Bundle, passages: Sequence[str], *, count: int) -> list[list[Proposal]]:
    """Return for each passage at most ``count`` answers that do not overlap, the best first.

    They are whole words, also where tokens are pieces of these (``core.text.words.borders_of``).
    """
    model, _ = _parts(bundle)
    readings = _read(bundle, passages)
    found: list[list[Proposal]] = [[] for _ in passages]
    for rows in _batches([reading.source for reading in readings]):
        source, mask = _padded(bundle, [readings[row].source for row in rows])
        with torch.inference_mode():
            scores = model.propose(source, mask).cpu()
        for row, own in zip(rows, scores, strict=True):
            whole = _whole_words(passages[row], readings[row], own)
            found[row] = _proposals(passages[row], readings[row].located, whole, count)
    return found


def ask(
    bundle: Bundle, about: Sequence[tuple[str, Span]], spec: DecodeSpec | None = None
) -> list[list[WrittenQuestion]]:
    """Return questions about each answer in its passage, the best first.

    ``spec`` says how they are searched for, else the plan of ``bundle``; where words are drawn,
    each by its seed. Raises InputError where no word stands at an answer, or ``spec`` asks for
    what this model cannot say.
    """
    wanted = spec or bundle.plan.decode
    readings = _read(bundle, [passage for passage, _ in about])
    engine = engine_of(bundle)
    questions = []
    for row, (reading, (_, span)) in enumerate(zip(readings, about, strict=True)):
        question = _question(reading, span, wanted)
        questions.append(question)
        engine.submit(question.request(row))
    found: dict[int, list[WrittenQuestion]] = {}
    while not engine.idle:
        for event in engine.step():
            match event:
                case Ended(row, hypotheses):
                    found[row] = [_written(one, questions[row]) for one in hypotheses]
                case Failed(_, error):
                    raise error
    return [found[row] for row in range(len(about))]


def find(bundle: Bundle, asked: Sequence[tuple[str, str]]) -> list[FoundAnswer]:
    """Return where the reader sees the answer to each question: (passage, question).

    It is whole words if any are at hand that are no longer than an answer may be.
    """
    model, tokenizer = _parts(bundle)
    readings = _read(bundle, [passage for passage, _ in asked])
    questions = [
        reading.question(text, tokenizer) or [EOS]
        for reading, (_, text) in zip(readings, asked, strict=True)
    ]
    found: dict[int, FoundAnswer] = {}
    for rows in _batches([reading.source for reading in readings]):
        source, mask = _padded(bundle, [readings[row].source for row in rows])
        ids, ids_mask = _padded(bundle, [np.array(questions[row]) for row in rows])
        with torch.inference_mode():
            scores = model.find(source, mask, ids, ids_mask).cpu()
        for row, own in zip(rows, scores, strict=True):
            located, whole = readings[row].located, _whole_words(asked[row][0], readings[row], own)
            ((first, last, log_prob),) = best_spans(whole, 1) or best_spans(own, 1)
            span = located.characters(first, last) if len(located) else (0, 0)
            start, end = _trimmed(asked[row][0], *span)
            found[row] = FoundAnswer(Span(start, max(start, end)), log_prob)
    return [found[row] for row in range(len(asked))]


def see_that_it_can_ask(bundle: Bundle) -> None:
    """Raise InputError for ways to decode that are not for this model."""
    copied = bundle.plan.model.copy_source
    reading = read_passage("What is it?", _parts(bundle)[1], copied=copied)
    question = _question(reading, Span(*reading.located.characters(0, 0)), bundle.plan.decode)
    engine_of(bundle).submit(question.request(0))


def _parts(bundle: Bundle) -> tuple[Asker, Tokenizer]:
    """Return the network and the tokenizer of a model that asks; InputError for any other."""
    if not isinstance(bundle.model, Asker) or not isinstance(bundle.tokenizer, Tokenizer):
        raise InputError(
            f"This model was trained to {bundle.plan.task}, and not to ask questions.",
            field="model",
        )
    return bundle.model, bundle.tokenizer


def _read(bundle: Bundle, passages: Sequence[str]) -> list[Reading]:
    """Read each of ``passages``, the same text once."""
    _, tokenizer = _parts(bundle)
    copied = bundle.plan.model.copy_source
    once = {text: read_passage(text, tokenizer, copied=copied) for text in dict.fromkeys(passages)}
    return [once[text] for text in passages]


def _proposals(text: str, located: Located, scores: torch.Tensor, count: int) -> list[Proposal]:
    """Return the best spans of ``scores`` (S, L); where nothing but space stands, there is none."""
    places = range(len(located))
    blank = sum(not text[slice(*located.characters(one, one))].strip() for one in places)
    found = []
    for first, last, log_prob in best_spans(scores, count + blank) if places else ():
        start, end = _trimmed(text, *located.characters(first, last))
        if start < end:
            found.append(Proposal(Span(start, end), log_prob))
    return found[:count]


def _whole_words(text: str, reading: Reading, scores: torch.Tensor) -> torch.Tensor:
    """Return ``scores`` (S, L) without spans that begin or end within a word of ``text``."""
    located = reading.located
    if reading.vocabulary.spec.kind == "word" or not len(located):
        return scores
    borders = borders_of(text)
    spans = [_trimmed(text, *located.characters(one, one)) for one in range(len(located))]
    begins = torch.tensor([start in borders or start == end for start, end in spans])
    ends = torch.tensor([end in borders or start == end for start, end in spans])
    last = torch.arange(len(spans)).unsqueeze(1) + torch.arange(scores.size(1))  # (S, L)
    whole = begins.unsqueeze(1) & ends[last.clamp(max=len(spans) - 1)]
    beyond = scores.size(0) - len(spans)  # padding, of which no score is finite
    return scores.masked_fill(~functional.pad(whole, (0, 0, 0, beyond)), NEVER)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the same part of ``text`` without space at its ends."""
    inside = text[start:end]
    return start + len(inside) - len(inside.lstrip()), start + len(inside.rstrip())


def _question(reading: Reading, span: Span, spec: DecodeSpec) -> Question:
    tokens = reading.located.tokens(span.start, span.end)
    if tokens is None:
        raise InputError(
            f"No word stands from {span.start} to {span.end} in the passage.", field="answer"
        )
    source = with_answer(reading.source, *tokens)
    wish = wish_of(spec, reading.vocabulary, first=BOS, end=EOS, never=SIGNS)
    return Question(tuple(source.tolist()), wish, reading.vocabulary)


def _written(one: Hypothesis, question: Question) -> WrittenQuestion:
    vocabulary = question.vocabulary
    spelled = b"".join(UNKNOWN if id_ == UNK else vocabulary.spelling(id_) for id_ in one.tokens)
    text = spelled.decode("utf-8", errors="replace").removeprefix(vocabulary.lead)
    return WrittenQuestion(
        text=cut(text, stops_of(question.wish)).strip(),
        score=one.score,
        log_prob=one.log_prob,
        unknown=one.tokens.count(UNK),
    )


def _batches(sources: Sequence[NDArray[np.int64]]) -> Iterator[list[int]]:
    """Yield which of ``sources`` are read side by side: those of similar length."""
    rows: list[int] = []
    for row in sorted(range(len(sources)), key=lambda one: -len(sources[one])):
        longest = len(sources[rows[0]]) if rows else 0
        if len(rows) == ROWS or (rows and (len(rows) + 1) * longest > TOKENS):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _padded(bundle: Bundle, rows: Sequence[NDArray[np.int64]]) -> tuple[torch.Tensor, torch.Tensor]:
    device = next(cast(Asker, bundle.model).parameters()).device
    ids, mask = pad_sources(rows)
    return ids.to(device), mask.to(device)
