"""A long text in, a short one out; beside it, what its first words alone would have scored."""

from typing import Any

from core.recipes.materials import Material
from core.recipes.recipe import Recipe, Target
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec, TrainSpec

_QUICK: dict[str, Any] = {
    "tokenizer": {"vocabulary_size": 2000},
    "model": {"embedding_dim": 24, "hidden_dim": 32},
    "train": {
        "max_epochs": 1,
        "validate_every": 20,
        "time_limit_s": 10.0,
        "score_rows": 10,
        "report_rows": 20,
        "max_source_tokens": 64,
        "max_target_tokens": 24,
    },
    "decode": {"beam_size": 2, "max_tokens": 16},
}

RECIPES = (
    Recipe(
        name="summary-ko",
        family="summary",
        title="Korean requests to key phrases",
        description="A spoken request becomes the few words that it asks for (sae4K).",
        corpus_kinds=("pairs",),
        plan=Plan(
            task="summarise",
            tokenizer=TokenizerSpec(kind="unigram", vocabulary_size=6000),
            model=ModelSpec(
                cell="gru", embedding_dim=192, hidden_dim=320, dropout=0.3, copy_source=True
            ),
            train=TrainSpec(
                label_smoothing=0.0,
                learning_rate=2e-3,
                warmup_steps=200,
                max_epochs=12,
                time_limit_s=1500.0,
                validate_every=300,
                report_rows=1000,
                patience=4,
            ),
            decode=DecodeSpec(beam_size=4, max_tokens=48),
        ),
        material=Material(reader="table", files=("summ_ko_sae4k/sae4k_v1.txt",), columns=(1, 2)),
        headline=Target("rouge_l", source="above the first words of the request"),
        quick=_QUICK,
    ),
    Recipe(
        name="summary-en",
        family="summary",
        title="Abstracts to one sentence",
        description=(
            "Two thousand abstracts of papers are little to learn from, so it points into the "
            "source for most of its words, and remembers where it has looked (SciTLDR)."
        ),
        corpus_kinds=("pairs",),
        plan=Plan(
            task="summarise",
            tokenizer=TokenizerSpec(kind="word", vocabulary_size=8000, lower_case=True),
            model=ModelSpec(
                cell="lstm",
                embedding_dim=128,
                hidden_dim=256,
                encoder_hidden_dim=128,
                dropout=0.4,
                attention="additive",
                coverage=True,
                copy_source=True,
            ),
            train=TrainSpec(
                batch_size=16,
                max_source_tokens=400,
                max_target_tokens=64,
                label_smoothing=0.0,
                coverage_weight=0.5,
                learning_rate=1e-3,
                warmup_steps=200,
                max_epochs=25,
                time_limit_s=1800.0,
                validate_every=None,
                report_rows=400,
                patience=4,
            ),
            decode=DecodeSpec(beam_size=4, max_tokens=40),
        ),
        material=Material(
            reader="abstracts",
            files=("summ_scitldr/train.jsonl",),
            valid_files=("summ_scitldr/dev.jsonl",),
            valid=0,
        ),
        headline=Target("rouge_l", source="above the first words of the abstract"),
        quick={
            **_QUICK,
            "model": {"embedding_dim": 24, "hidden_dim": 32, "encoder_hidden_dim": 16},
        },
    ),
)
