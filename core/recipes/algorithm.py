"""Small algorithms learned from examples of what they do."""

from core.recipes.materials import Material
from core.recipes.recipe import Recipe, Target
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec, TrainSpec

RECIPES = (
    Recipe(
        name="algorithm",
        family="algorithm",
        title="Small algorithms as sequences",
        description=(
            "Copy, reverse, sort, parity and straight-line programs: what they make of a short "
            "input is learned, and tried on inputs longer than any that was learned from."
        ),
        corpus_kinds=("pairs",),
        plan=Plan(
            task="transform",
            tokenizer=TokenizerSpec(kind="char", vocabulary_size=128),
            model=ModelSpec(
                cell="lstm",
                embedding_dim=64,
                hidden_dim=256,
                encoder_hidden_dim=128,
                dropout=0.0,
                attention="additive",
                input_feeding=True,
            ),
            train=TrainSpec(
                batch_size=128,
                label_smoothing=0.0,
                learning_rate=3e-3,
                warmup_steps=200,
                decay="cosine",
                max_epochs=30,
                validate_every=None,
                score_rows=500,
                report_rows=2000,
                patience=None,
                keep="last",
            ),
            decode=DecodeSpec(beam_size=1, max_tokens=96),
        ),
        material=Material(reader="algorithms", count=40_000),
        headline=Target("exact_match", 0.99, "at_least", "set for this project"),
        quick={
            "model": {"embedding_dim": 12, "hidden_dim": 24, "encoder_hidden_dim": 12},
            "train": {"max_epochs": 1, "time_limit_s": 10.0, "score_rows": 20, "report_rows": 50},
        },
    ),
)
