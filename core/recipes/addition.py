"""Adding numbers of three digits as strings: one task, and what each idea does for it.

The six systems are those of "Deep Learning from Scratch 2" (Saito 2018, chapters 7 and 8).
"""

from dataclasses import replace

from core.recipes.materials import Material
from core.recipes.recipe import Recipe, Target
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec, TrainSpec

_PLAIN = Recipe(
    name="addition",
    family="addition",
    title="Addition: the plain encoder-decoder",
    description="Reads 57+5 digit by digit into one state and writes 62 from it.",
    corpus_kinds=("pairs",),
    plan=Plan(
        task="transform",
        tokenizer=TokenizerSpec(kind="char", vocabulary_size=64),
        model=ModelSpec(
            cell="lstm",
            bidirectional=False,
            embedding_dim=16,
            hidden_dim=128,
            dropout=0.0,
            shared_embedding=False,
            tied_output=False,
            bridge="last",
            attention="none",
        ),
        train=TrainSpec(
            batch_size=128,
            max_source_tokens=16,
            max_target_tokens=8,
            label_smoothing=0.0,
            learning_rate=1e-2,
            clip_norm=5.0,
            warmup_steps=200,
            decay="cosine",
            max_epochs=25,
            validate_every=None,
            score_rows=1000,
            report_rows=5000,
            patience=None,
            keep="last",
        ),
        decode=DecodeSpec(beam_size=1, max_tokens=8),
    ),
    material=Material(reader="toy", files=("toy/addition.txt",), valid=5000),
    headline=Target("exact_match", 0.121, "at_least", "the original code after 25 epochs"),
    quick={
        "model": {"embedding_dim": 8, "hidden_dim": 24},
        "train": {"max_epochs": 1, "time_limit_s": 10.0, "score_rows": 50, "report_rows": 50},
    },
)

RECIPES = (
    _PLAIN,
    _PLAIN.variant(
        "addition-reverse",
        "Addition: the question read backwards",
        "The first digits of question and answer come closer: Sutskever et al. 2014.",
        {"model": {"reversed_source": True}},
        figure=0.540,
    ),
    _PLAIN.variant(
        "addition-peeky",
        "Addition: every step sees the encoder's last state",
        "The state goes into each step and into the output layer: Cho et al. 2014.",
        {"model": {"peeky": True}},
        figure=0.816,
    ),
    _PLAIN.variant(
        "addition-reverse-peeky",
        "Addition: both ideas",
        "Read backwards, and seen by every step.",
        {
            "model": {"reversed_source": True, "peeky": True},
            "train": {"average": "ema", "ema_decay": 0.99},  # early and even
        },
        figure=0.984,
    ),
    _PLAIN.variant(
        "addition-attention",
        "Addition: attention instead of one state",
        "Each step looks at all digits of the question through a dot product: Luong et al. 2015.",
        {"model": {"attention": "dot"}},
        figure=0.227,
    ),
    _PLAIN.variant(
        "addition-reverse-attention",
        "Addition: attention over the question read backwards",
        "Attention, from a state that has read the question backwards.",
        {"model": {"attention": "dot", "reversed_source": True}},
        figure=0.888,
    ),
    replace(
        _PLAIN.variant(
            "addition-best",
            "Addition: all that helps",
            (
                "Reads both ways, attends, peeks, and lowers its learning rate to nothing: "
                "the 25 epochs are enough to add without a mistake in a thousand."
            ),
            {
                "model": {
                    "bidirectional": True,
                    "peeky": True,
                    "attention": "general",
                    "bridge": "linear",
                    "hidden_dim": 192,
                    "encoder_hidden_dim": 128,
                },
                "train": {"learning_rate": 4e-3},
            },
        ),
        headline=Target("exact_match", 0.999, "at_least", "set for this project"),
        quick={**_PLAIN.quick, "model": {**_PLAIN.quick["model"], "encoder_hidden_dim": 16}},
    ),
)
