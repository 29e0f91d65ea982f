"""Language models: fables by a window of words, and the Penn Treebank as running text."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.recipes.materials import Material
from core.recipes.recipe import Recipe, Target
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec, TrainSpec

_QUICK: Mapping[str, Any] = MappingProxyType(
    {
        "model": {"embedding_dim": 12, "hidden_dim": 12},
        "train": {"max_epochs": 1, "time_limit_s": 10.0, "report_rows": 4},
        "decode": {"max_tokens": 12},
    }
)

_FABLES = Recipe(
    name="aesop-lstm",
    family="aesop",
    title="Fables: the next word after twenty",
    description=(
        "A window of 20 words, an LSTM of 256, and a word drawn from what it says comes next."
    ),
    corpus_kinds=("text",),
    plan=Plan(
        task="language",
        tokenizer=TokenizerSpec(kind="closed", vocabulary_size=8000),
        model=ModelSpec(
            encoder="none",
            cell="lstm",
            bidirectional=False,
            embedding_dim=100,
            hidden_dim=256,
            dropout=0.2,
            tied_output=False,
            window=20,
        ),
        train=TrainSpec(
            batch_size=32,
            label_smoothing=0.0,
            optimiser="rmsprop",
            learning_rate=1e-3,
            clip_norm=5.0,
            warmup_steps=0,
            decay="constant",
            max_epochs=20,
            validate_every=None,
            report_rows=20,
            patience=3,
        ),
        decode=DecodeSpec(beam_size=1, max_tokens=50, temperature=0.8),
    ),
    material=Material(reader="fables", files=("lm_aesop/data.txt",), valid=0.1),
    headline=Target("valid_word_perplexity", source="the note gives shapes, and no figure"),
    quick=_QUICK,
)

_TREEBANK = Recipe(
    name="ptb-lstm",
    family="ptb",
    title="Penn Treebank: one LSTM over running text",
    description=(
        "Truncated back-propagation over 35 words, the state carried on (Saito 2018, chapter 6)."
    ),
    corpus_kinds=("text",),
    plan=Plan(
        task="language",
        tokenizer=TokenizerSpec(kind="closed", vocabulary_size=12000),
        model=ModelSpec(
            encoder="none",
            cell="lstm",
            bidirectional=False,
            embedding_dim=100,
            hidden_dim=100,
            dropout=0.0,
            tied_output=False,
        ),
        train=TrainSpec(
            batch_size=20,
            bptt=35,
            label_smoothing=0.0,
            optimiser="sgd",
            learning_rate=20.0,
            clip_norm=0.25,
            warmup_steps=0,
            decay="constant",
            max_epochs=4,
            validate_every=None,
            report_rows=10,
            patience=None,
            keep="last",
        ),
        decode=DecodeSpec(beam_size=1, max_tokens=60, temperature=1.0, skip=("<unk>", "N", "$")),
    ),
    material=Material(reader="penn"),  # not shipped: name its files with --corpus
    headline=Target("test_perplexity", 136.08, "at_most", "published, on the test part"),
    quick=_QUICK,
)

RECIPES = (
    _FABLES,
    _FABLES.variant(
        "aesop-stacked",
        "Fables: two LSTM layers",
        "The second layer reads what the first one made of each word.",
        {"model": {"decoder_layers": 2}},
    ),
    _FABLES.variant(
        "aesop-gru", "Fables: a GRU", "Two gates and no cell.", {"model": {"cell": "gru"}}
    ),
    _FABLES.variant(
        "aesop-bidirectional",
        "Fables: the window read both ways",
        "All twenty words are known, so nothing forbids to read them backwards, too.",
        {"model": {"bidirectional": True}},
    ),
    _FABLES.variant(
        "aesop-char",
        "Fables by characters",
        "The next character after sixty; it can spell words that it has never seen.",
        {
            "tokenizer": {"kind": "char", "vocabulary_size": 256},
            "model": {"window": 60},
            "train": {"batch_size": 128},
            "decode": {"max_tokens": 200},
        },
    ),
    _TREEBANK,
    _TREEBANK.variant(
        "ptb-lstm-better",
        "Penn Treebank: two layers of 650, dropout, tied weights",
        "Zaremba et al. 2014 with tied weights; the rate falls when held-out text says so.",
        {
            "model": {
                "embedding_dim": 650,
                "hidden_dim": 650,
                "decoder_layers": 2,
                "dropout": 0.5,
                "tied_output": True,
            },
            "train": {
                "max_epochs": 40,
                "decay": "plateau",
                "plateau_factor": 0.25,
                "plateau_patience": 1,
                "keep": "best",
            },
        },
        figure=75.8,
    ),
    _TREEBANK.variant(
        "ptb-lstm-beyond",
        "Penn Treebank: weight drop, locked dropout, averaged weights",
        "Merity et al. 2018: three layers of 1150, and weights averaged once they turn in circles.",
        {
            "model": {
                "embedding_dim": 400,
                "hidden_dim": 1150,
                "decoder_layers": 3,
                "dropout": 0.4,
                "locked_dropout": True,
                "weight_drop": 0.5,
                "tied_output": True,
            },
            "train": {
                "bptt": 70,
                "learning_rate": 30.0,
                "weight_decay": 1.2e-6,
                "average": "triggered",
                "average_patience": 5,
                "max_epochs": 500,
                "keep": "best",
            },
        },
        figure=58.8,
    ),
)
