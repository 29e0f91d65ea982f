"""From examples to a bundle, with no database and no queue: what recipes and jobs both run."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch

from core.decoding.requests import refuse_impossible
from core.decoding.step import StepModel
from core.models.build import build
from core.models.lexicon import Lexicon
from core.models.vectors import place_vectors
from core.pipelines.bundle import Bundle, bytes_tensor, tensor_bytes, write_bundle
from core.pipelines.evaluating import (
    HeldOut,
    answers,
    figures,
    held_out,
    likelihood,
    scorer,
    signatures_of,
)
from core.pipelines.looking import attention_maps
from core.pipelines.preparing import Examples, Prepared, learn_vocabulary, prepare
from core.pipelines.questions import question_of
from core.specs import Plan
from core.text.kinds import TextTokenizer, open_tokenizer
from core.text.vectors import load_vectors
from core.training.events import Divided, Snapshot, Started
from core.training.events import Event as LoopEvent
from core.training.lexical import coverage, learn_lexicon
from core.training.loop import fit
from core.training.precision import pick_device
from core.training.state import TrainingState, load_state
from core.training.team import ALONE, Team

SHOWN = 10  # held-out examples that a report shows
TELL_EVERY = 50  # of those that it decodes


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
    """The end: the bundle as bytes, and what its report says.

    ``report`` has a ``run`` that the bundle has not: seconds, threads and machine, without which
    the same seed gives the same bytes.
    """

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
    vectors: Path | None = None,
    team: Team = ALONE,
) -> Iterator[Event]:
    """Train a model on ``examples`` as ``plan`` says; the last event is Finished.

    ``scratch`` is a directory for encoded data. ``resume`` is what a Saved event carried.
    ``vectors`` is a file of word vectors that embeddings begin with. Every process of a ``team``
    runs this on the same examples; rank 0 alone saves and finishes.
    Raises InputError where a split that is needed is empty.
    """
    state, tokenizer = _resumed(plan, resume)
    if tokenizer is None:
        yield Stage("tokenizer", f"{plan.tokenizer.kind}, up to {plan.tokenizer.vocabulary_size}")
        tokenizer = learn_vocabulary(examples, plan)
    bundle = _fresh(plan, tokenizer)
    _see_that_it_can_be_asked(bundle)
    yield Stage("encode", f"{tokenizer.size} pieces in the vocabulary")
    prepared = prepare(examples, plan, tokenizer, scratch)
    if vectors is not None and state is None:
        found = load_vectors(vectors, tokenizer, dim=plan.model.embedding_dim)
        count = place_vectors(bundle.model, found, freeze=plan.model.freeze_embedding)
        yield Stage("encode", f"{count} pieces begin with a vector of {vectors.name}")
    yield Stage("train", prepared.told)
    watch = _Stopwatch()
    score = scorer(bundle, examples)
    run: dict[str, Any] = {}
    for event in fit(
        bundle.model,
        train=prepared.train.batches,
        valid=prepared.valid.batches,
        spec=plan.train,
        resume=state,
        due=due,
        clock=watch.seconds,
        score=watch.stopped(score) if score else None,
        team=team,
    ):
        if isinstance(event, Started):
            run = _facts(plan, event)
        with watch.standing():
            if isinstance(event, Snapshot):
                state = event.state
                extra = {"tokenizer": bytes_tensor(tokenizer.model)}
                yield Saved(state.counters.step, state.dump(extra))
            else:
                yield event
    if team.rank == 0 and state is not None:
        run["seconds"] = state.counters.elapsed_s
        yield from _finish(replace(bundle, step=state.counters.step), examples, prepared, run)


def said(event: Started | Divided) -> str:
    """Put into words what a training tells without figures."""
    if isinstance(event, Started):
        processes = f" in {event.processes} processes" if event.processes > 1 else ""
        return f"{event.precision} on {event.device}{processes}: {event.reason}"
    return f"a batch of {event.rows} did not fit into memory, and is learned in parts"


def _finish(
    bundle: Bundle, examples: Examples, prepared: Prepared, run: dict[str, Any]
) -> Iterator[Event]:
    """Decode what is held out, and report."""
    if bundle.plan.train.lexicon:
        yield Stage("lexicon", "which words each word of a source calls up")
        bundle = replace(bundle, lexicon=_lexicon(bundle, prepared))
    held = held_out(examples, bundle)
    rows, found = held.all, []
    yield Stage("report", f"decoding {len(rows)} held-out examples")
    for answer in answers(bundle, [row.context for row in rows], bundle.plan.decode):
        found.append(answer)
        if len(found) % TELL_EVERY == 0 or len(found) == len(rows):
            yield Stage("report", f"{len(found)} of {len(rows)}")
    outputs = [answer.text for answer in found]
    metrics = {
        **likelihood(bundle, prepared.valid, prefix="valid"),
        **(likelihood(bundle, prepared.test, prefix="test") if prepared.test else {}),
        **figures(bundle, held, outputs),
    }
    if bundle.plan.decode.anti_generic:
        metrics["without_reranking"] = _without_reranking(bundle, held)
    report: dict[str, Any] = {
        "metrics": metrics,
        "examples": {**prepared.sizes, "decoded": len(rows)},
        "vocabulary_size": bundle.tokenizer.size,
        "parameters": sum(parameter.numel() for parameter in bundle.model.parameters()),
        "samples": [
            {
                "context": list(row.context),
                "target": row.reply,
                "output": one.text,
                "score": one.score,
            }
            for row, one in zip(rows[:SHOWN], found, strict=False)
        ],
        "signatures": signatures_of(bundle, held, outputs),
        "attention": attention_maps(bundle, rows, outputs),
    }
    if bundle.lexicon is not None and prepared.valid.pairs is not None:
        metrics["lexicon_coverage"] = coverage(bundle.lexicon, prepared.valid.pairs)
    whole = replace(bundle, report=report)
    yield Finished(write_bundle(whole), bundle.step, metrics, {**report, "run": run})


def _lexicon(bundle: Bundle, prepared: Prepared) -> Lexicon | None:
    """Return which words each word of a source calls up, by what the model has learned from."""
    pairs, words = prepared.train.pairs, bundle.plan.train.lexicon
    if pairs is None:
        return None
    return learn_lexicon(pairs, vocabulary_size=bundle.tokenizer.size, words=words)


def _without_reranking(bundle: Bundle, held: HeldOut) -> dict[str, Any]:
    """Return the figures of what the beam alone would have answered."""
    plain = bundle.plan.decode.model_copy(update={"anti_generic": 0.0})
    found = answers(bundle, [row.context for row in held.all], plain)
    return figures(bundle, held, [answer.text for answer in found])


def _facts(plan: Plan, started: Started) -> dict[str, Any]:
    """Return on what a training runs: what its seconds depend on."""
    capability = torch.backends.cpu.get_cpu_capability()
    machine = f"{os.cpu_count()} cores, {capability}, torch {torch.__version__}"
    if started.device.startswith("cuda"):
        machine = f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return {
        "seed": plan.train.seed,
        "device": started.device,
        "precision": started.precision,
        "processes": started.processes,
        "threads": torch.get_num_threads(),
        "machine": machine,
    }


class _Stopwatch:
    """Seconds of training alone: neither scores on the way nor what others do between events.

    They may wait for a server that is down, and that must not end a training before its time.
    """

    def __init__(self) -> None:
        self._aside = 0.0

    def seconds(self) -> float:
        """Return the time without what was stopped."""
        return time.monotonic() - self._aside

    def stopped(self, score: Callable[[], Any]) -> Callable[[], Any]:
        """Return ``score``, during which the watch stands."""

        def aside() -> Any:
            with self.standing():
                return score()

        return aside

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Let the watch stand until the block is left."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._aside += time.monotonic() - began


def _resumed(plan: Plan, resume: bytes | None) -> tuple[TrainingState | None, TextTokenizer | None]:
    if resume is None:
        return None, None
    state, extra = load_state(resume)
    return state, open_tokenizer(plan.tokenizer, tensor_bytes(extra["tokenizer"]))


def _see_that_it_can_be_asked(bundle: Bundle) -> None:
    """Raise InputError now, not in the end, for ways to decode that are not for this model."""
    asked = question_of(bundle, [""], bundle.plan.decode).request(0)
    refuse_impossible(asked, cast("StepModel[Any]", bundle.model))


def _fresh(plan: Plan, tokenizer: TextTokenizer) -> Bundle:
    """Return an untrained model, where it is to be trained."""
    torch.manual_seed(plan.train.seed)
    model = build(plan.model, vocabulary_size=tokenizer.size).to(pick_device())
    return Bundle(model, tokenizer, plan, 0, {})
