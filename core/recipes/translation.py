"""Translators on subwords."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.recipes.materials import Material
from core.recipes.recipe import Recipe, Target
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec, TrainSpec, merge

_PICTURES = Material(
    reader="lines",
    files=("multi30k/train.de", "multi30k/train.en"),
    valid_files=("multi30k/val.de", "multi30k/val.en"),
    valid=0,
)
_KOREAN = Material(
    reader="table",
    files=("python_docs_en_ko/train.tsv", "tatoeba_en_ko/kor.txt"),
    valid_files=("python_docs_en_ko/valid.tsv",),
    columns=(1, 2),
    valid=0.01,
)
_TRANSFORMER = "a well-known tutorial's Transformer, on the test part"

_QUICK: Mapping[str, Any] = MappingProxyType(
    {
        "tokenizer": {"vocabulary_size": 2000},
        "model": {"embedding_dim": 32, "hidden_dim": 32, "encoder_hidden_dim": 16},
        "train": {
            "max_epochs": 1,
            "validate_every": 20,
            "time_limit_s": 10.0,
            "score_rows": 20,
            "report_rows": 20,
        },
        "decode": {"beam_size": 2, "max_tokens": 16},
    }
)

_ATTENTION = Plan(
    task="translate",
    tokenizer=TokenizerSpec(kind="bpe", vocabulary_size=6000),
    model=ModelSpec(
        cell="lstm",
        embedding_dim=256,
        hidden_dim=512,
        encoder_hidden_dim=256,
        dropout=0.4,
        attention="general",
        bridge="linear",
    ),
    train=TrainSpec(
        batch_size=64,
        label_smoothing=0.1,
        learning_rate=2e-3,
        warmup_steps=400,
        decay="cosine",
        clip_norm=1.0,
        average="ema",
        ema_decay=0.998,
        max_epochs=15,
        time_limit_s=2700.0,
        validate_every=450,
        score_rows=200,
        report_rows=1014,
        patience=None,
        lexicon=100,
    ),
    decode=DecodeSpec(beam_size=5, max_tokens=80),
)

RECIPES = (
    Recipe(
        name="translate",
        family="translation",
        title="Translator on subwords",
        description=(
            "An attention encoder-decoder with one vocabulary for both languages: the one to start "
            "from. By itself it learns German to English from captions of pictures."
        ),
        corpus_kinds=("pairs",),
        plan=_ATTENTION,
        material=_PICTURES,
        headline=Target("bleu", 36.5, "at_least", _TRANSFORMER),
        quick=_QUICK,
    ),
    Recipe(
        name="translate-transformer",
        family="translation",
        title="Translator on subwords: a Transformer",
        description="The same task for three layers of self-attention: Vaswani et al. 2017.",
        corpus_kinds=("pairs",),
        plan=merge(
            _ATTENTION,
            {
                "model": {
                    "encoder": "transformer",
                    "decoder": "transformer",
                    "embedding_dim": 256,
                    "hidden_dim": 256,
                    "encoder_hidden_dim": None,
                    "encoder_layers": 3,
                    "decoder_layers": 3,
                    "dropout": 0.2,
                    "bridge": "mean",
                },
                "train": {"batch_size": 96, "warmup_steps": 1000, "max_epochs": 30},
            },
        ),
        material=_PICTURES,
        headline=Target("bleu", 36.5, "at_least", _TRANSFORMER),
        quick={**_QUICK, "model": {"embedding_dim": 32, "hidden_dim": 32, "feed_forward_dim": 64}},
    ),
    Recipe(
        name="translate-ko",
        family="translation",
        title="Translator from English to Korean",
        description=(
            "Technical prose and everyday sentences; a word of the source may be taken over as it "
            "stands, as names of functions have to be."
        ),
        corpus_kinds=("pairs",),
        plan=merge(
            _ATTENTION,
            {
                "tokenizer": {"kind": "unigram", "vocabulary_size": 8000},
                "model": {"copy_source": True, "dropout": 0.3},
                "train": {"average": "none", "report_rows": 1000, "lexicon": 0},
            },
        ),
        material=_KOREAN,
        headline=Target("chrf", source="no figure is published for this mixture"),
        quick=_QUICK,
    ),
)
