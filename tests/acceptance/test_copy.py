"""A model that copies says names that it has never seen; one that does not, cannot."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import cast

import pytest

from core.data.batches import pad_sources
from core.data.examples import Example, Split
from core.data.made_names import template_words
from core.data.materials import read
from core.decoding.search import search
from core.models.seq2seq import Seq2Seq
from core.pipelines.bundle import Bundle, read_bundle
from core.pipelines.learn import Finished, learn
from core.pipelines.offline import decode_batch
from core.recipes.materials import Material
from core.specs import DecodeSpec, Plan, merge
from core.text.tokenizer import SPECIALS, UNK
from core.text.vocabulary import read_source
from tests.acceptance.conftest import Tell

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

NAMES = Material(reader="names", count=4000, valid=200, test=300)
EXACT_LIMIT = 99.0  # %
PLAN = Plan.model_validate(
    {
        "task": "transform",
        # The commonest words are those of the templates: every name is outside.
        "tokenizer": {"kind": "word", "vocabulary_size": template_words() + len(SPECIALS)},
        "model": {"embedding_dim": 64, "hidden_dim": 96, "dropout": 0.1, "copy_source": True},
        "train": {
            "batch_size": 64,
            "learning_rate": 3e-3,
            "label_smoothing": 0.0,
            "max_epochs": 8,
            "validate_every": 57,
        },
        "decode": {"beam_size": 1, "max_tokens": 24},
    }
)


@dataclass(frozen=True, slots=True)
class Result:
    """How a model did on sentences whose names it had never seen."""

    exact: float  # %
    unknown: int  # how often it said the unknown word, where nothing forbids it
    seconds: float  # of learning
    pieces_agree: bool  # what was streamed is what was returned


def result_of(plan: Plan, scratch: Path) -> Result:
    splits = read(NAMES, scratch)

    def examples(split: str) -> Iterable[Example]:
        return splits[cast("Split", split)]

    began = perf_counter()
    *_, last = learn(examples, plan, scratch=scratch)
    seconds = perf_counter() - began
    assert isinstance(last, Finished)
    bundle = read_bundle(last.data)
    said = [example.texts for example in splits["test"]]
    contexts, specs = [[source] for source, _ in said], [plan.decode] * len(said)
    streamed = [""] * len(said)

    def hear(row: int, piece: str) -> None:
        streamed[row] += piece

    answers = [best[0].text for best in decode_batch(bundle, contexts, specs, hear)]
    right = sum(answer == target for answer, (_, target) in zip(answers, said, strict=True))
    return Result(
        exact=100 * right / len(said),
        unknown=unknown(bundle, [source for source, _ in said]),
        seconds=seconds,
        pieces_agree=streamed == answers,
    )


def unknown(bundle: Bundle, sources: list[str]) -> int:
    """Return how often the unknown word is said by a search that does not forbid it."""
    assert isinstance(bundle.model, Seq2Seq)
    copied = bundle.plan.model.copy_source
    ids = [
        read_source([source], bundle.tokenizer, max_tokens=99, copied=copied)[0]
        for source in sources
    ]
    specs = [DecodeSpec(beam_size=1, max_tokens=24)] * len(ids)
    found = search(bundle.model, *pad_sources(ids), specs=specs)
    return sum(best[0].tokens.count(UNK) for best in found)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="greedy"),
        pytest.param({"decode": {"beam_size": 4}}, id="beam of 4"),
        pytest.param({"model": {"coverage": True}}, id="coverage"),
        pytest.param(
            {
                "model": {"encoder": "transformer", "decoder": "transformer", "hidden_dim": 64},
            },
            id="transformer",
        ),
    ],
)
def test_names_never_seen_are_copied(
    changes: dict[str, dict[str, object]], tmp_path: Path, tell: Tell
) -> None:
    result = result_of(merge(PLAN, changes), tmp_path)

    tell(
        f"copy, {changes or 'greedy'}: {result.exact:.1f} % exact on names never seen "
        f"(limit {EXACT_LIMIT:g}), <unk> said {result.unknown} times, "
        f"{result.seconds:.0f} s of learning"
    )
    assert result.exact >= EXACT_LIMIT
    assert result.unknown == 0
    assert result.pieces_agree


def test_without_copying_names_never_seen_are_lost(tmp_path: Path, tell: Tell) -> None:
    result = result_of(merge(PLAN, {"model": {"copy_source": False}}), tmp_path)

    tell(
        f"no copy: {result.exact:.1f} % exact on names never seen, <unk> said {result.unknown} "
        f"times, {result.seconds:.0f} s of learning"
    )
    assert result.exact < 1
    assert result.unknown > 0
