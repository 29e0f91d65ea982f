"""From examples to a bundle, with no database and no queue: what recipes and jobs both run."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import torch

from core.data.batches import EncodedPairs
from core.data.examples import Example, Exchange, exchanges
from core.errors import InputError
from core.metrics.text import corpus_scores, signatures, variety
from core.models.build import build
from core.models.seq2seq import Seq2Seq
from core.pipelines.bundle import Bundle, bytes_tensor, tensor_bytes, write_bundle
from core.pipelines.respond import decode_batch
from core.specs import Plan
from core.text.tokenizer import Tokenizer
from core.training.events import Event as LoopEvent
from core.training.events import Snapshot
from core.training.lessons import PairLessons
from core.training.loop import fit, validation_losses
from core.training.state import TrainingState, load_state

REPORTED = 200  # held-out examples that the report decodes
SHOWN = 10  # of which it shows these many
DECODE_BATCH = 50


class Examples(Protocol):
    """A corpus that can be read again and again, in the same order each time."""

    def __call__(self, split: str, /) -> Iterable[Example]:
        """Yield the examples of ``split``."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What the pipeline does now."""

    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """A training state as bytes, ready to be stored; the run can be resumed from it."""

    step: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """The end: the bundle as bytes, and what its report says."""

    data: bytes = field(repr=False)
    step: int
    metrics: dict[str, Any]
    report: dict[str, Any]


Event = Stage | LoopEvent | Saved | Finished


def learn(
    examples: Examples,
    plan: Plan,
    *,
    scratch: Path,
    resume: bytes | None = None,
    due: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a model on ``examples`` as ``plan`` says; the last event is Finished.

    ``scratch`` is a directory for encoded data. ``resume`` is what a Saved event carried.
    Raises InputError where a split that is needed is empty.
    """
    state, tokenizer = _resumed(plan, resume)
    if tokenizer is None:
        yield Stage("tokenizer", f"{plan.tokenizer.kind}, up to {plan.tokenizer.vocabulary_size}")
        tokenizer = Tokenizer.train(_texts(examples), plan.tokenizer)
    yield Stage("encode", f"{tokenizer.size} pieces in the vocabulary")
    train = _encoded(examples, "train", plan, tokenizer, scratch)
    valid = _encoded(examples, "valid", plan, tokenizer, scratch)
    model = _fresh(plan, tokenizer)
    yield Stage("train", f"{len(train)} exchanges, {len(valid)} held out")
    lessons, exam = PairLessons(train, plan.train), PairLessons(valid, plan.train)
    for event in fit(model, train=lessons, valid=exam, spec=plan.train, resume=state, due=due):
        if isinstance(event, Snapshot):
            state = event.state
            extra = {"tokenizer": bytes_tensor(tokenizer.model)}
            yield Saved(state.counters.step, state.dump(extra))
        else:
            yield event
    yield Stage("report", f"decoding up to {REPORTED} held-out examples")
    bundle = Bundle(model, tokenizer, plan, state.counters.step if state else 0, {})
    yield from _finish(bundle, examples, train, valid)


def _finish(
    bundle: Bundle, examples: Examples, train: EncodedPairs, valid: EncodedPairs
) -> Iterator[Event]:
    held_out = list(islice(_exchanges(examples, "valid", bundle.plan), REPORTED))
    outputs: list[tuple[str, float]] = []
    for start in range(0, len(held_out), DECODE_BATCH):
        part = held_out[start : start + DECODE_BATCH]
        best = decode_batch(bundle, [one.context for one in part], [bundle.plan.decode] * len(part))
        outputs += [(candidates[0].text, candidates[0].score) for candidates in best]
        yield Stage("report", f"{len(outputs)} of {len(held_out)}")
    metrics = _metrics(bundle, held_out, [text for text, _ in outputs], valid)
    report = {
        "metrics": metrics,
        "signatures": signatures([text for text, _ in outputs], [one.reply for one in held_out]),
        "examples": {"train": len(train), "valid": len(valid), "decoded": len(held_out)},
        "vocabulary_size": bundle.tokenizer.size,
        "parameters": sum(parameter.numel() for parameter in bundle.model.parameters()),
        "samples": [
            {"context": list(one.context), "target": one.reply, "output": text, "score": score}
            for one, (text, score) in list(zip(held_out, outputs, strict=True))[:SHOWN]
        ],
    }
    whole = Bundle(bundle.model, bundle.tokenizer, bundle.plan, bundle.step, report)
    yield Finished(write_bundle(whole), bundle.step, metrics, report)


def _metrics(
    bundle: Bundle, held_out: Sequence[Exchange], outputs: Sequence[str], valid: EncodedPairs
) -> dict[str, Any]:
    total, tokens = 0.0, 0
    for loss, count in validation_losses(bundle.model, PairLessons(valid, bundle.plan.train)):
        total, tokens = total + loss, tokens + count
    return {
        "valid_loss": total / tokens,
        "valid_perplexity": math.exp(min(total / tokens, 700.0)),
        **corpus_scores(outputs, [one.reply for one in held_out]),
        **variety(outputs),
    }


def _resumed(plan: Plan, resume: bytes | None) -> tuple[TrainingState | None, Tokenizer | None]:
    if resume is None:
        return None, None
    state, extra = load_state(resume)
    return state, Tokenizer(plan.tokenizer, tensor_bytes(extra["tokenizer"]))


def _exchanges(examples: Examples, split: str, plan: Plan) -> Iterator[Exchange]:
    for example in examples(split):
        yield from exchanges(example, context_turns=plan.context_turns)


def _texts(examples: Examples) -> Iterator[str]:
    for example in examples("train"):
        yield from example.texts


def _encoded(
    examples: Examples, split: str, plan: Plan, tokenizer: Tokenizer, scratch: Path
) -> EncodedPairs:
    encoded = EncodedPairs.encode(
        _exchanges(examples, split, plan),
        tokenizer,
        max_source_tokens=plan.train.max_source_tokens,
        max_target_tokens=plan.train.max_target_tokens,
        copy_source=plan.model.copy_source,
        directory=scratch / split,
    )
    if len(encoded) == 0:
        raise InputError(f"the corpus has no {split} examples; import more, or other shares")
    return encoded


def _fresh(plan: Plan, tokenizer: Tokenizer) -> Seq2Seq:
    torch.manual_seed(plan.train.seed)
    return build(plan.model, vocabulary_size=tokenizer.size)
