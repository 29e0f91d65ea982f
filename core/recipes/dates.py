"""Written dates to ISO dates."""

from core.recipes.materials import Material
from core.recipes.recipe import Recipe, Target
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec, TrainSpec

RECIPES = (
    Recipe(
        name="date-attention",
        family="dates",
        title="Dates: attention finds year, month and day",
        description=(
            "september 27, 1994 becomes 1994-09-27: the example on which attention can be seen at "
            "work (Saito 2018, chapter 8). No question of the held-out part is in the other."
        ),
        corpus_kinds=("pairs",),
        plan=Plan(
            task="transform",
            tokenizer=TokenizerSpec(kind="char", vocabulary_size=128),
            model=ModelSpec(
                cell="lstm",
                bidirectional=False,
                embedding_dim=16,
                hidden_dim=256,
                dropout=0.0,
                shared_embedding=False,
                tied_output=False,
                bridge="last",
                attention="dot",
                reversed_source=True,
            ),
            train=TrainSpec(
                batch_size=128,
                max_source_tokens=32,
                max_target_tokens=16,
                label_smoothing=0.0,
                learning_rate=1e-3,
                clip_norm=5.0,
                warmup_steps=0,
                decay="cosine",
                max_epochs=10,
                validate_every=None,
                score_rows=1000,
                report_rows=5000,
                patience=None,
                keep="last",
            ),
            decode=DecodeSpec(beam_size=1, max_tokens=12),
        ),
        material=Material(reader="toy", files=("toy/date.txt",), valid=5000),
        headline=Target("exact_match", 1.0, "at_least", "the original code after 10 epochs"),
        quick={
            "model": {"embedding_dim": 8, "hidden_dim": 24},
            "train": {"max_epochs": 1, "time_limit_s": 10.0, "score_rows": 50, "report_rows": 50},
        },
    ),
)
