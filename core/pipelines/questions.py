"""What the engine is asked for a text and its options, and what becomes of its answer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from core.data.running import SENTENCE_END
from core.decoding.engine import Engine, Request
from core.decoding.step import SIGNS, Hypothesis, StepModel, Wish
from core.errors import InputError
from core.pipelines.bundle import Bundle
from core.pipelines.wishes import stops_of, wish_of
from core.queue.messages import Candidate, Details
from core.specs import DecodeSpec
from core.text.kinds import TextTokenizer
from core.text.stream import TextStream, cut
from core.text.tokenizer import BOS, PAD, UNK
from core.text.vocabulary import Vocabulary, read_source

WISHES = 512  # that are remembered for a model: most requests have the same options
_DIGITS = 6  # after the point, of a detail


@dataclass(frozen=True, slots=True)
class Question:
    """Turns as ids, how to search for an answer, and what turns that into text."""

    source: tuple[int, ...]
    wish: Wish
    vocabulary: Vocabulary

    def request(self, key: int, *, priority: int = 0, deadline: float | None = None) -> Request:
        """Return what the engine is given."""
        return Request(
            key=key, source=self.source, wish=self.wish, priority=priority, deadline=deadline
        )

    def stream(self) -> TextStream:
        """Return what turns tokens into text as they come."""
        return TextStream(self.vocabulary, stop=stops_of(self.wish))

    def candidate(self, one: Hypothesis, *, details: bool = False) -> Candidate:
        """Return ``one`` as text, with how it came about if that or where it looked is asked."""
        told = details or one.attention is not None
        text = cut(self.vocabulary.decode(one.tokens), stops_of(self.wish))
        return Candidate(text, one.score, self._details(one) if told else None)

    def _details(self, one: Hypothesis) -> Details:
        pieces, looked = self.vocabulary.pieces, one.attention
        return Details(
            tokens=tuple(pieces(one.tokens)),
            log_probs=tuple(round(value, _DIGITS) for value in one.token_log_probs),
            source=None if looked is None else tuple(pieces(self.source)),
            alignment=None
            if looked is None
            else tuple(tuple(round(part, _DIGITS) for part in row) for row in looked.tolist()),
        )


def question_of(bundle: Bundle, turns: Sequence[str], spec: DecodeSpec) -> Question:
    """Return what ``turns``, oldest first, ask of ``bundle``, searched for by ``spec``.

    A language model hears its last word first, and an end before a text that has no beginning
    yet. Raises InputError for what cannot be said or read in the words of the model.
    """
    if bundle.plan.task == "questions":
        raise InputError(
            "This model asks questions about passages; it has no replies.", field="model"
        )
    source, vocabulary = _read(bundle, turns)
    first = source[-1] if bundle.plan.model.is_language_model else BOS
    if vocabulary is not bundle.tokenizer:  # the source brings words of its own
        return Question(source, _wish(bundle, vocabulary, spec, first), vocabulary)
    known = bundle.wishes.get((spec, first))
    if known is None:
        if len(bundle.wishes) >= WISHES:
            bundle.wishes.clear()
        known = bundle.wishes[spec, first] = _wish(bundle, vocabulary, spec, first)
    return Question(source, known, vocabulary)


def _wish(bundle: Bundle, vocabulary: Vocabulary, spec: DecodeSpec, first: int) -> Wish:
    tokenizer = bundle.tokenizer
    never = (PAD,) if tokenizer.end is None else SIGNS
    return wish_of(spec, vocabulary, first=first, end=_end(tokenizer), never=never)


def engine_of(bundle: Bundle, *, clock: Callable[[], float] = time.monotonic) -> Engine[Any]:
    """Return an engine for the model of ``bundle``, where that lies."""
    device = next(bundle.model.parameters()).device
    return Engine(cast("StepModel[Any]", bundle.model), device=device, clock=clock)


def _read(bundle: Bundle, turns: Sequence[str]) -> tuple[tuple[int, ...], Vocabulary]:
    """Return the ids that the model is to read, at least one, and what spells its answer."""
    plan = bundle.plan
    ids, vocabulary = read_source(
        turns[-plan.context_turns :],
        bundle.tokenizer,
        max_tokens=plan.train.max_source_tokens,
        copied=plan.model.copy_source,
    )
    end = _end(bundle.tokenizer)
    nothing = end if plan.model.is_language_model and end is not None else UNK
    return tuple(ids) or (nothing,), vocabulary


def _end(tokenizer: TextTokenizer) -> int | None:
    """Return the id that ends an answer; a closed vocabulary may have a word for that."""
    if tokenizer.end is not None:
        return tokenizer.end
    return next(iter(tokenizer.skip_ids([SENTENCE_END])), None)
