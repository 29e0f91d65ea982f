"""The systems that can be trained by name, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from core.errors import NotFoundError
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec, TrainSpec, merge


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A named plan, the kind of corpus it reads, and how it shrinks to seconds for a trial."""

    name: str
    title: str
    description: str
    corpus_kinds: tuple[Literal["pairs", "dialogues"], ...]
    plan: Plan
    examples: tuple[str, ...]  # files of examples/ that it learns from unless told otherwise
    quick: Mapping[str, Any]  # laid over the plan by ``--quick``

    def quick_plan(self) -> Plan:
        """Return the plan made small: minutes become seconds, and the result is only a trial."""
        return merge(self.plan, dict(self.quick))


_QUICK: Mapping[str, Any] = MappingProxyType(
    {
        "tokenizer": {"vocabulary_size": 2000},
        "model": {"embedding_dim": 32, "hidden_dim": 48, "dropout": 0.0},
        "train": {"max_epochs": 2, "validate_every": 20, "time_limit_s": 10.0},
        "decode": {"beam_size": 1},
    }
)

_TALK = ("smalltalk.ko.csv", "helpdesk.ko.csv", "smalltalk.en.csv", "helpdesk.en.csv")

DEMO = Recipe(
    name="demo",
    title="A small bot that knows its examples",
    description=(
        "Learns a few thousand short exchanges by heart in about a minute on two cores; "
        "made for examples/, good for any small set of questions with fixed answers."
    ),
    corpus_kinds=("pairs", "dialogues"),
    examples=_TALK,
    plan=Plan(
        task="chat",
        tokenizer=TokenizerSpec(kind="unigram", vocabulary_size=3000, byte_fallback=True),
        model=ModelSpec(cell="gru", embedding_dim=128, hidden_dim=256, dropout=0.1),
        train=TrainSpec(
            max_epochs=22,
            time_limit_s=110.0,
            learning_rate=5e-3,
            warmup_steps=50,
            decay="linear",
            label_smoothing=0.0,
            validate_every=200,
            patience=None,
            keep="last",
        ),
        decode=DecodeSpec(beam_size=4),
    ),
    quick=_QUICK,
)

CHAT = Recipe(
    name="chat",
    title="Chatbot: their words in, ours out",
    description=(
        "An attention encoder-decoder over pairs or dialogues; stops when held-out replies "
        "no longer become more likely."
    ),
    corpus_kinds=("pairs", "dialogues"),
    examples=_TALK,
    plan=Plan(
        task="chat",
        context_turns=3,
        tokenizer=TokenizerSpec(kind="unigram", vocabulary_size=4000),
        model=ModelSpec(cell="gru", embedding_dim=192, hidden_dim=320, dropout=0.4),
        train=TrainSpec(max_epochs=30, time_limit_s=600.0, learning_rate=2e-3, warmup_steps=200),
        decode=DecodeSpec(beam_size=4),
    ),
    quick=_QUICK,
)

TRANSLATE = Recipe(
    name="translate",
    title="Translator on subwords",
    description="An attention encoder-decoder with one vocabulary for both languages.",
    corpus_kinds=("pairs",),
    examples=("sentences.ko-en.tsv",),
    plan=Plan(
        task="translate",
        tokenizer=TokenizerSpec(kind="bpe", vocabulary_size=8000),
        model=ModelSpec(cell="lstm", embedding_dim=256, hidden_dim=512, dropout=0.3),
        train=TrainSpec(max_epochs=15, learning_rate=1e-3, warmup_steps=400, validate_every=400),
        decode=DecodeSpec(beam_size=5),
    ),
    quick=_QUICK,
)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {recipe.name: recipe for recipe in (DEMO, CHAT, TRANSLATE)}
)


def find(name: str) -> Recipe:
    """Return the recipe called ``name``; raises NotFoundError."""
    try:
        return RECIPES[name]
    except KeyError:
        raise NotFoundError("recipe", name) from None
