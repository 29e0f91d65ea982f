"""A calculator that learns from examples: sums and differences of two-digit numbers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.recipes.materials import Material
from core.recipes.recipe import Recipe, Target
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec, TrainSpec, merge

_TASKS = Material(reader="calculator", valid=2000)

_NOTE = Plan(
    task="transform",
    tokenizer=TokenizerSpec(kind="char", vocabulary_size=64),
    model=ModelSpec(
        cell="gru",
        bidirectional=False,
        embedding_dim=5,
        hidden_dim=16,
        dropout=0.0,
        tied_output=False,
        bridge="last",
        attention="none",
    ),
    train=TrainSpec(
        batch_size=128,
        max_source_tokens=8,
        max_target_tokens=5,
        label_smoothing=0.0,
        learning_rate=1e-3,
        clip_norm=5.0,
        warmup_steps=0,
        decay="constant",
        max_epochs=50,
        validate_every=None,
        score_rows=500,
        report_rows=2000,
        patience=None,
        keep="last",
    ),
    decode=DecodeSpec(beam_size=1, max_tokens=5),
)

_QUICK: Mapping[str, Any] = MappingProxyType(
    {
        "model": {"embedding_dim": 4, "hidden_dim": 12},
        "train": {"max_epochs": 1, "time_limit_s": 10.0, "score_rows": 50, "report_rows": 50},
    }
)

RECIPES = (
    Recipe(
        name="calculator",
        family="calculator",
        title="Calculator as the study note draws it",
        description=(
            "50+9 becomes 59: one embedding of 5 for both sides, a GRU of 16 reads and a GRU of "
            "16 writes. Too narrow to be right most of the time, and a good one to take apart."
        ),
        corpus_kinds=("pairs",),
        plan=_NOTE,
        material=_TASKS,
        headline=Target("exact_match", source="the note gives shapes, and no figure"),
        quick=_QUICK,
    ),
    Recipe(
        name="calculator-wide",
        family="calculator",
        title="Calculator that is wide enough",
        description="The same network with an embedding of 32 and GRUs of 256.",
        corpus_kinds=("pairs",),
        plan=merge(
            _NOTE,
            {
                "model": {"embedding_dim": 32, "hidden_dim": 256},
                "train": {"learning_rate": 3e-3, "warmup_steps": 100, "decay": "cosine"},
            },
        ),
        material=_TASKS,
        headline=Target("exact_match", 0.99, "at_least", "set for this project"),
        quick=_QUICK,
    ),
)
