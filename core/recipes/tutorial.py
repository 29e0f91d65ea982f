"""The ten-minute tutorial on sequence-to-sequence learning, and what its questions ask for.

Source: "A ten-minute introduction to sequence-to-sequence learning in Keras" (Chollet 2017):
the first 10,000 English-French pairs, a fifth held out, LSTM 256, RMSprop, 100 epochs.
"""

from core.recipes.materials import Material
from core.recipes.recipe import Recipe, Target
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec, TrainSpec

_TUTORIAL = Recipe(
    name="char-lstm",
    family="tutorial",
    title="Ten-minute tutorial: English to French by characters",
    description=(
        "One LSTM of 256 reads the sentence, another writes its translation letter by letter."
    ),
    corpus_kinds=("pairs",),
    plan=Plan(
        task="translate",
        tokenizer=TokenizerSpec(kind="char", vocabulary_size=256, character_coverage=1.0),
        model=ModelSpec(
            cell="lstm",
            bidirectional=False,
            embedding_dim=64,
            hidden_dim=256,
            dropout=0.0,
            shared_embedding=False,
            tied_output=False,
            bridge="last",
            attention="none",
        ),
        train=TrainSpec(
            batch_size=64,
            max_source_tokens=32,
            max_target_tokens=96,
            label_smoothing=0.0,
            optimiser="rmsprop",
            learning_rate=1e-3,
            clip_norm=5.0,
            warmup_steps=0,
            decay="constant",
            max_epochs=100,
            validate_every=None,
            score_rows=200,
            report_rows=2500,
            patience=None,
        ),
        decode=DecodeSpec(beam_size=1, max_tokens=96),
    ),
    material=Material(
        reader="table", files=("tatoeba_en_fr/fra.txt",), columns=(1, 2), limit=10_000, valid=0.2
    ),
    headline=Target("chrf", source="the tutorial reports none"),
    quick={
        "model": {"embedding_dim": 16, "hidden_dim": 32},
        "train": {"max_epochs": 1, "time_limit_s": 10.0, "score_rows": 10, "report_rows": 20},
    },
)

RECIPES = (
    _TUTORIAL,
    _TUTORIAL.variant(
        "char-gru",
        "Ten-minute tutorial with GRUs",
        "Its first question: what if I want a GRU instead?",
        {"model": {"cell": "gru"}},
    ),
    _TUTORIAL.variant(
        "word-lstm",
        "Ten-minute tutorial by words",
        "Its second question: word ids with an embedding, in place of characters.",
        {
            "tokenizer": {"kind": "word", "vocabulary_size": 16000},
            "model": {"embedding_dim": 256},
            "train": {"max_target_tokens": 32},
            "decode": {"max_tokens": 32},
        },
    ),
    _TUTORIAL.variant(
        "char-free-running",
        "Ten-minute tutorial without teacher forcing",
        "Its third question: while learning, too, the decoder hears only its own last character.",
        {"train": {"forcing": "free"}},
    ),
    _TUTORIAL.variant(
        "char-scheduled",
        "Ten-minute tutorial with scheduled sampling",
        "Between the two: the true character at first, its own more and more: Bengio et al. 2015.",
        {"train": {"forcing": "sigmoid", "forcing_steps": 1500}},
    ),
)
