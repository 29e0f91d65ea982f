"""What a model is worth on examples that it has not learned from, by its task."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any, get_args

from core.data.examples import Exchange
from core.data.made_up import input_length
from core.metrics.exact import exact_by_length, exact_match
from core.metrics.likelihood import perplexities, perplexity_signature
from core.metrics.rouge import lead_scores, rouge_scores, rouge_signature
from core.metrics.text import corpus_scores, signatures, variety
from core.pipelines.bundle import Bundle
from core.pipelines.offline import decode_batch
from core.pipelines.preparing import Examples, Lesson, exchanges_of
from core.queue.messages import Candidate
from core.recipes.materials import Algorithm
from core.specs import DecodeSpec, Task
from core.training.validation import validation_losses

GREEDY_BATCH = 256  # rows decoded together
BEAM_BATCH = 48
PROMPT_WORDS = 10  # of running text, where no window says how much is seen
WANTED_WORDS = 40  # of how it went on

Outputs = Sequence[str]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What is decoded for the report: of validation, and then of test where that is asked, too."""

    valid: list[Exchange]
    test: list[Exchange]

    @property
    def all(self) -> list[Exchange]:
        """Everything, in the order of the outputs."""
        return [*self.valid, *self.test]


def held_out(examples: Examples, bundle: Bundle) -> HeldOut:
    """Take the first ``report_rows`` of what is held out, or the beginnings of held-out texts."""
    plan, rows = bundle.plan, bundle.plan.train.report_rows
    if plan.model.is_language_model:
        return HeldOut(list(islice(_beginnings(examples, bundle), rows)), [])
    test = exchanges_of(examples, "test", plan) if plan.task == "transform" else iter(())
    valid = exchanges_of(examples, "valid", plan)
    return HeldOut(list(islice(valid, rows)), list(islice(test, rows)))


def answers(
    bundle: Bundle, contexts: Sequence[Sequence[str]], spec: DecodeSpec
) -> Iterator[Candidate]:
    """Yield the best answer to each of ``contexts``; if it is drawn, each with its own seed."""
    size = GREEDY_BATCH if spec.beam_size == 1 else BEAM_BATCH
    specs = [spec] * len(contexts)
    if spec.temperature is not None:
        specs = [spec.model_copy(update={"seed": spec.seed + n}) for n in range(len(contexts))]
    for start in range(0, len(contexts), size):
        part = slice(start, start + size)
        for candidates in decode_batch(bundle, contexts[part], specs[part]):
            yield candidates[0]


def scorer(bundle: Bundle, examples: Examples) -> Callable[[], Mapping[str, float]] | None:
    """Return what decodes held-out examples greedily during training; None if none are asked."""
    plan = bundle.plan
    names = _ON_THE_WAY[plan.task]
    if not plan.train.score_rows or not names:
        return None
    rows = list(islice(exchanges_of(examples, "valid", plan), plan.train.score_rows))
    greedy = DecodeSpec(beam_size=1, max_tokens=plan.decode.max_tokens, skip=plan.decode.skip)

    def score() -> Mapping[str, float]:
        outputs = [one.text for one in answers(bundle, [row.context for row in rows], greedy)]
        found = scores(plan.task, rows, outputs)
        return {name: found[name] for name in names}

    return score


def figures(bundle: Bundle, held: HeldOut, outputs: Outputs) -> dict[str, Any]:
    """Return what the outputs for ``held`` are worth."""
    task = bundle.plan.task
    if task == "language":
        return dict(variety(outputs))
    valid, test = outputs[: len(held.valid)], outputs[len(held.valid) :]
    found: dict[str, Any] = {**scores(task, held.valid, valid), **variety(valid)}
    if task == "transform":
        lengths = [_length(row.context[-1]) for row in held.all]
        by_length = exact_by_length(outputs, _targets(held.all), lengths)
        found["by_length"] = {str(length): share for length, share in by_length.items()}
    if task == "transform" and test:
        found["test_exact_match"] = exact_match(test, _targets(held.test))
    if task == "summarise":
        found["baselines"] = lead_scores(_sources(held.valid), _targets(held.valid))
    return found


def scores(task: Task, rows: Sequence[Exchange], outputs: Outputs) -> dict[str, float]:
    """Return the figures that compare ``outputs`` with what ``rows`` wanted."""
    found = corpus_scores(outputs, _targets(rows))
    if task == "summarise":
        found |= rouge_scores(outputs, _targets(rows))
    return found


def signatures_of(bundle: Bundle, held: HeldOut, outputs: Outputs) -> dict[str, str]:
    """Return how the figures were computed."""
    ends = bundle.tokenizer.end is not None
    found = {"perplexity": perplexity_signature(ends=ends)}
    if bundle.plan.task == "summarise":
        found["rouge"] = rouge_signature()
    if bundle.plan.task != "language":
        found |= signatures(outputs[: len(held.valid)], _targets(held.valid))
    return found


def likelihood(bundle: Bundle, lesson: Lesson, *, prefix: str) -> dict[str, float]:
    """Return loss and perplexity per token, and perplexity per word whatever the tokens are.

    A word is what spaces part, and the end of a text is one, too.
    """
    total, tokens = 0.0, 0
    for loss, count in validation_losses(bundle.model, lesson.batches):
        total, tokens = total + loss, tokens + count
    mean = total / tokens
    found = perplexities(mean * lesson.tokens, tokens=lesson.tokens, words=lesson.words)
    return {
        f"{prefix}_loss": mean,
        f"{prefix}_perplexity": found["token_perplexity"],
        f"{prefix}_word_perplexity": found["word_perplexity"],
    }


def _length(source: str) -> int:
    """Count what an algorithm works on, or else characters."""
    name = source.partition(" ")[0]
    return input_length(source) if name in get_args(Algorithm) else len(source)


def _targets(rows: Sequence[Exchange]) -> list[str]:
    return [row.reply for row in rows]


def _sources(rows: Sequence[Exchange]) -> list[str]:
    return [" ".join(row.context) for row in rows]


def _beginnings(examples: Examples, bundle: Bundle) -> Iterator[Exchange]:
    """Yield how held-out texts begin, and how they went on."""
    tokenizer, window = bundle.tokenizer, bundle.plan.model.window
    for example in examples("valid"):
        for text in example.texts:
            words = text.split()
            begun = " ".join(words[: min(PROMPT_WORDS, len(words) // 2)])
            if window:
                begun = tokenizer.decode(tokenizer.encode(text)[:window])
            rest = text.removeprefix(begun).split()
            if begun:
                yield Exchange((begun,), " ".join(rest[:WANTED_WORDS]))


_ON_THE_WAY: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {  # what is measured at each validation
        "chat": ("chrf",),
        "translate": ("bleu", "chrf"),
        "summarise": ("rouge_l",),
        "transform": ("exact_match",),
        "language": (),
        "questions": (),
    }
)
