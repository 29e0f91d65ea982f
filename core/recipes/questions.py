"""Passages in, questions about them out: as the note draws it, and as it says how to go on."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.recipes.materials import Material
from core.recipes.recipe import Recipe, Target
from core.specs import DecodeSpec, ModelSpec, Plan, QuestionSpec, TokenizerSpec, TrainSpec, merge

_ARTICLES = Material(
    reader="passages",
    files=(
        "qa_squad11_dev/dev-v1.1.rebuilt.json",
        "qa_fairytale/train.stories.jsonl",
        "qa_fairytale/train.questions.jsonl",
        "qa_fairytale/val.stories.jsonl",
        "qa_fairytale/val.questions.jsonl",
    ),
    valid=0.05,
    test=0.1,
    vectors="glove_50d_5k/glove-50d-5k.json",
)
_PUBLISHED = "12.3 (2017) and 16.4 (2018) are published for all of SQuAD, eight times as much"
_QUICK: Mapping[str, Any] = MappingProxyType(
    {
        "tokenizer": {"vocabulary_size": 2000},
        "model": {"encoder_hidden_dim": 12, "hidden_dim": 24, "questions": {"reader_dim": 8}},
        "train": {
            "max_epochs": 1,
            "validate_every": 20,
            "time_limit_s": 10.0,
            "report_rows": 20,
        },
        "decode": {"beam_size": 2, "max_tokens": 12},
    }
)

_NOTE = Plan(
    task="questions",
    tokenizer=TokenizerSpec(kind="word", split_marks=True, vocabulary_size=9984),
    model=ModelSpec(
        cell="gru",
        embedding_dim=50,
        encoder_hidden_dim=100,
        hidden_dim=200,
        dropout=0.0,
        attention="none",
        bridge="last",
        tied_output=False,
        output_bias=False,
        questions=QuestionSpec(proposer="tags", condition="answer", reader_dim=64),
    ),
    train=TrainSpec(
        precision="fp32",  # recurrent layers so narrow gain nothing from bf16
        batch_size=16,
        max_source_tokens=96,
        max_target_tokens=40,
        label_smoothing=0.0,
        learning_rate=2e-3,
        warmup_steps=200,
        max_epochs=20,
        time_limit_s=2400.0,
        validate_every=None,
        report_rows=1000,
        patience=3,
    ),
    decode=DecodeSpec(beam_size=4, max_tokens=30),
)

RECIPES = (
    Recipe(
        name="qgen-note",
        family="questions",
        title="Questions from the states of an answer",
        description=(
            "A bidirectional GRU tags what may be an answer; its states there, and nothing else, "
            "become a question. Words it does not know stay unknown (Foster 2019, chapter 7)."
        ),
        corpus_kinds=("passages",),
        plan=_NOTE,
        material=_ARTICLES,
        headline=Target("bleu", source=_PUBLISHED),
        quick=_QUICK,
    ),
    Recipe(
        name="qgen-pointer",
        family="questions",
        title="Questions that point into their passage",
        description=(
            "Reads the passage with the answer tagged in it, attends to it with coverage, and may "
            "take any of its words into the question; spans are compared as wholes."
        ),
        corpus_kinds=("passages",),
        plan=merge(
            _NOTE,
            {
                "tokenizer": {"vocabulary_size": 6000},
                "model": {
                    "encoder_hidden_dim": 96,
                    "hidden_dim": 192,
                    "dropout": 0.3,
                    "attention": "general",
                    "bridge": "linear",
                    "coverage": True,
                    "copy_source": True,
                    "output_bias": True,
                    "questions": {
                        "proposer": "spans",
                        "condition": "passage",
                        "longest_answer": 12,
                        "shape_dim": 8,
                    },
                },
                "train": {
                    "decay": "cosine",
                    "average": "ema",
                    "ema_decay": 0.998,
                    "max_epochs": 10,
                    "time_limit_s": 5400.0,
                },
                "decode": {"no_repeat_ngram": 3},
            },
        ),
        material=_ARTICLES,
        headline=Target("bleu", source=_PUBLISHED),
        quick=_QUICK,
    ),
)
