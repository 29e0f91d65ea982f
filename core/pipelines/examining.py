"""What a model that asks questions is worth on articles that it has not seen."""

import random
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from core.data.examples import AnsweredQuestion, Passage
from core.data.spans import Span
from core.metrics.rouge import rouge_scores, rouge_signature
from core.metrics.spans import answer_exact, answer_f1, set_f1, spans_signature
from core.metrics.text import bleu_orders, corpus_scores, signatures, variety
from core.models.asker import Asker
from core.pipelines.asking import FoundAnswer, WrittenQuestion, ask, find, propose
from core.pipelines.bundle import Bundle
from core.pipelines.preparing import Examples, Lesson, Prepared
from core.text.tokenizer import UNK, Tokenizer
from core.text.words import words_of
from core.training.precision import to_device

SHOWN = 10  # held-out questions that a report shows
SHEET = 50  # pairs that a person looks at
AT_ONCE = 64  # questions that are written together


@dataclass(frozen=True, slots=True)
class HeldOutQuestion:
    """A question about a passage of an article that was held out, and its answer."""

    passage: Passage
    question: AnsweredQuestion
    answer: Span

    @property
    def wanted(self) -> list[str]:
        """What people answered."""
        context = self.passage.context
        return [span.of(context) for span in self.question.answers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of it."""

    metrics: dict[str, Any]
    signatures: dict[str, str]
    samples: list[dict[str, Any]]
    sheet: list[dict[str, Any]]  # pairs made up from passages alone


def report_on(
    bundle: Bundle, examples: Examples, prepared: Prepared
) -> Generator[str, None, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Ask about what is held out; return the report, and pairs for a person to look at.

    Yields in words how far it is.
    """
    held = held_out_questions(examples, rows=bundle.plan.train.report_rows)
    yield f"asking {len(held)} held-out questions"
    examined = yield from examine(bundle, held)
    metrics = {
        **written_likelihood(bundle, prepared.valid, prefix="valid"),
        **(written_likelihood(bundle, prepared.test, prefix="test") if prepared.test else {}),
        **examined.metrics,
    }
    report = {
        "metrics": metrics,
        "examples": {**prepared.sizes, "decoded": len(held)},
        "vocabulary_size": bundle.tokenizer.size,
        "parameters": sum(parameter.numel() for parameter in bundle.model.parameters()),
        "samples": examined.samples[:SHOWN],
        "signatures": examined.signatures,
    }
    return report, examined.sheet


def figures_of_people(
    bundle: Bundle, passages: Sequence[Passage]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ask about ``passages`` that people asked about; return figures and samples."""
    examining = examine(bundle, _held(passages))
    while True:
        try:
            next(examining)
        except StopIteration as end:
            examined: Examined = end.value
            return examined.metrics, examined.samples


def held_out_questions(examples: Examples, *, rows: int) -> list[HeldOutQuestion]:
    """Return about ``rows`` questions with an answer, of test, or of validation if there is none.

    They are those of whole passages, drawn from all of the split, the same each time.
    """
    for split in ("test", "valid"):
        passages = list(cast("Iterable[Passage]", examples(split)))
        random.Random(0).shuffle(passages)  # noqa: S311 (repeatable on purpose)
        held: list[HeldOutQuestion] = []
        for passage in passages:
            found = _held([passage])
            if held and len(held) + len(found) > rows:
                break
            held += found
        if held:
            return held
    return []


def examine(bundle: Bundle, held: Sequence[HeldOutQuestion]) -> Generator[str, None, Examined]:
    """Ask about all answers of ``held``, propose answers, and find them again.

    Yields in words how far it is.
    """
    written: list[WrittenQuestion] = []
    for start in range(0, len(held), AT_ONCE):
        part = held[start : start + AT_ONCE]
        found = ask(bundle, [(one.passage.context, one.answer) for one in part])
        written += [candidates[0] for candidates in found]
        yield f"{len(written)} of {len(held)}"
    yield "finding answers again"
    texts, targets = [one.text for one in written], [one.question.question for one in held]
    metrics = {
        **corpus_scores(texts, targets),
        **bleu_orders(texts, targets),
        **rouge_scores(texts, targets),
        **variety(texts),
        **_unknown(bundle, held, written),
        **_proposed(bundle, held),
        **_reading(bundle, held),
        "round_trip_f1": _round_trip(bundle, held, texts),
    }
    return Examined(
        metrics=metrics,
        signatures={**signatures(texts, targets), "rouge": rouge_signature(), **spans_signature()},
        samples=[_sample(one, question) for one, question in zip(held, written, strict=True)],
        sheet=sheet_of(bundle, held),
    )


def _held(passages: Iterable[Passage]) -> list[HeldOutQuestion]:
    return [
        HeldOutQuestion(passage, one, answer)
        for passage in passages
        for one in passage.questions
        if (answer := one.answer) is not None
    ]


def written_likelihood(bundle: Bundle, lesson: Lesson, *, prefix: str) -> dict[str, float]:
    """Return loss and perplexity per token of held-out questions: what the writer alone is worth.

    The losses of a training are those of all three parts.
    """
    model, total, tokens = cast(Asker, bundle.model).eval(), 0.0, 0
    device = next(model.parameters()).device
    for rows in lesson.batches.ordered():
        with torch.inference_mode():
            terms = model.written(to_device(lesson.batches.take(rows), device))
        total, tokens = total + terms.nll.item(), tokens + terms.tokens
    mean = total / max(tokens, 1)
    perplexity = torch.tensor(mean, dtype=torch.float64).clamp(max=700).exp().item()
    return {f"{prefix}_loss": mean, f"{prefix}_perplexity": perplexity}


def sheet_of(bundle: Bundle, held: Sequence[HeldOutQuestion]) -> list[dict[str, Any]]:
    """Return pairs made from passages of ``held`` alone: answers proposed, asked, found again.

    The passages are drawn by the seed of the plan, and of each one of its best answers.
    """
    chance = random.Random(bundle.plan.train.seed)  # noqa: S311 (repeatable; nothing hangs on it)
    passages = list(dict.fromkeys(one.passage for one in held))
    drawn = chance.sample(passages, min(SHEET, len(passages)))
    drawn += chance.choices(passages, k=SHEET - len(drawn)) if passages else []
    about = [
        (passage, chance.choice(proposals))
        for passage, proposals in zip(
            drawn, propose(bundle, [one.context for one in drawn], count=4), strict=True
        )
        if proposals
    ]
    asked = ask(bundle, [(passage.context, one.span) for passage, one in about])
    best = [candidates[0] for candidates in asked]
    found = find(
        bundle,
        [(passage.context, one.text) for (passage, _), one in zip(about, best, strict=True)],
    )
    return [
        {
            "title": passage.title,
            "context": passage.context,
            "answer": {"start": proposal.span.start, "end": proposal.span.end},
            "question": question.text,
            "found": {"start": answer.span.start, "end": answer.span.end},
            "proposal_log_prob": proposal.log_prob,
            "question_score": question.score,
            "found_log_prob": answer.log_prob,
        }
        for (passage, proposal), question, answer in zip(about, best, found, strict=True)
    ]


def _unknown(
    bundle: Bundle, held: Sequence[HeldOutQuestion], written: Sequence[WrittenQuestion]
) -> dict[str, float]:
    """Return the share of questions with an unknown word, and of these words those in the source.

    An unknown word stands in the source if the question that people asked has a word which the
    vocabulary lacks and the passage has.
    """
    tokenizer = cast(Tokenizer, bundle.tokenizer)
    total, avoidable = 0, 0
    for one, question in zip(held, written, strict=True):
        if question.unknown:
            total += question.unknown
            passage = {word for id_, word in tokenizer.spell(one.passage.context) if id_ == UNK}
            asked = {word for id_, word in tokenizer.spell(one.question.question) if id_ == UNK}
            avoidable += question.unknown * bool(passage & asked)
    return {
        "unknown_share": sum(one.unknown > 0 for one in written) / max(len(written), 1),
        "unknown_in_source_share": avoidable / max(total, 1),
    }


def _proposed(bundle: Bundle, held: Sequence[HeldOutQuestion]) -> dict[str, float]:
    """Return how well answers are proposed, as many as each passage has."""
    wanted: dict[Passage, set[Span]] = {}
    for one in held:
        wanted.setdefault(one.passage, set()).add(one.answer)
    passages = list(wanted)
    most = max((len(spans) for spans in wanted.values()), default=0)
    proposals = propose(bundle, [one.context for one in passages], count=most)
    found = [
        {one.span for one in proposed[: len(wanted[passage])]}
        for passage, proposed in zip(passages, proposals, strict=True)
    ]
    gold = [wanted[passage] for passage in passages]
    words = [words_of(passage.context) for passage in passages]
    tokens = [
        [_covered(spans, where) for spans, where in zip(each, words, strict=True)]
        for each in (found, gold)
    ]
    return {"proposer_token_f1": set_f1(*tokens), "proposer_span_f1": set_f1(found, gold)}


def _covered(spans: set[Span], words: Sequence[tuple[int, int]]) -> set[int]:
    return {
        number
        for number, (start, end) in enumerate(words)
        if any(span.start < end and start < span.end for span in spans)
    }


def _reading(bundle: Bundle, held: Sequence[HeldOutQuestion]) -> dict[str, float]:
    """Return how well the answers to people's questions are found."""
    found = find(bundle, [(one.passage.context, one.question.question) for one in held])
    texts = _texts(held, found)
    pairs = list(zip(texts, held, strict=True))
    return {
        "reader_f1": _mean([answer_f1(text, one.wanted) for text, one in pairs]),
        "reader_exact": _mean([float(answer_exact(text, one.wanted)) for text, one in pairs]),
    }


def _round_trip(bundle: Bundle, held: Sequence[HeldOutQuestion], texts: Sequence[str]) -> float:
    """Return how well the reader finds the answers that ``texts`` ask about."""
    asked = [(one.passage.context, text) for one, text in zip(held, texts, strict=True)]
    found = _texts(held, find(bundle, asked))
    return _mean(
        [
            answer_f1(text, [one.answer.of(one.passage.context)])
            for text, one in zip(found, held, strict=True)
        ]
    )


def _texts(held: Sequence[HeldOutQuestion], found: Sequence[FoundAnswer]) -> list[str]:
    return [answer.span.of(one.passage.context) for one, answer in zip(held, found, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(len(values), 1)


def _sample(one: HeldOutQuestion, question: WrittenQuestion) -> dict[str, Any]:
    return {
        "context": [one.answer.of(one.passage.context)],
        "target": one.question.question,
        "output": question.text,
        "score": question.score,
    }
