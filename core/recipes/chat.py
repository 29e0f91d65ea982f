"""Chatbots: their words in, ours out."""

from core.recipes.materials import Material
from core.recipes.recipe import QUICK, Recipe, Target
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec, TrainSpec, merge

_EXAMPLES = Material(
    reader="table",
    files=("smalltalk.ko.csv", "helpdesk.ko.csv", "smalltalk.en.csv", "helpdesk.en.csv"),
    shipped=True,
)
_NONE_PUBLISHED = "no figure is published for this division"

_CHAT = Plan(
    task="chat",
    context_turns=3,
    tokenizer=TokenizerSpec(kind="unigram", vocabulary_size=4000),
    model=ModelSpec(cell="gru", embedding_dim=192, hidden_dim=320, dropout=0.4),
    train=TrainSpec(
        max_epochs=30,
        time_limit_s=600.0,
        learning_rate=2e-3,
        warmup_steps=200,
        report_rows=500,
    ),
    decode=DecodeSpec(beam_size=8, anti_generic=0.3),
)

RECIPES = (
    Recipe(
        name="demo",
        family="chat",
        title="A small bot that knows its examples",
        description=(
            "Learns a few thousand short exchanges by heart in about a minute on two cores; "
            "made for examples/, good for any small set of questions with fixed answers."
        ),
        corpus_kinds=("pairs", "dialogues"),
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
        material=_EXAMPLES,
        headline=Target("valid_perplexity", source="made to know its examples, and nothing else"),
        quick=QUICK,
    ),
    Recipe(
        name="chat",
        family="chat",
        title="Chatbot: their words in, ours out",
        description=(
            "An attention encoder-decoder over pairs or dialogues; stops when held-out replies "
            "no longer become more likely. By itself it learns Korean small talk."
        ),
        corpus_kinds=("pairs", "dialogues"),
        plan=_CHAT,
        material=Material(
            reader="table", files=("chat_ko_songys/ChatbotData.csv",), columns=(1, 2)
        ),
        headline=Target("chrf", source=_NONE_PUBLISHED),
        quick=QUICK,
    ),
    Recipe(
        name="chat-en",
        family="chat",
        title="Chatbot for long talks in English",
        description="Reads up to three turns of a talk about books, films or sport; says the next.",
        corpus_kinds=("pairs", "dialogues"),
        plan=merge(
            _CHAT,
            {
                "tokenizer": {"vocabulary_size": 8000},
                "model": {"embedding_dim": 256, "hidden_dim": 512},
                "train": {"validate_every": 300, "time_limit_s": 1800.0},
            },
        ),
        material=Material(
            reader="dialogues",
            files=(
                "chat_en_topical/valid_freq.jsonl",
                "chat_en_topical/valid_rare.jsonl",
                "chat_en_topical/test_freq.jsonl",
                "chat_en_topical/test_rare.jsonl",
            ),
        ),
        headline=Target("valid_word_perplexity", source=_NONE_PUBLISHED),
        quick=QUICK,
    ),
    Recipe(
        name="mail-reply",
        family="chat",
        title="A mail in, a reply out",
        description=(
            "A chatbot for longer texts that takes names and numbers over from the mail. It needs "
            "mails of your own: --corpus mails.csv, with columns subject, body and reply."
        ),
        corpus_kinds=("pairs",),
        plan=merge(
            _CHAT,
            {
                "context_turns": 1,
                "model": {"copy_source": True, "attention": "additive"},
                "train": {
                    "max_source_tokens": 400,
                    "max_target_tokens": 200,
                    "batch_size": 32,
                },
                "decode": {"max_tokens": 200},
            },
        ),
        material=Material(reader="table"),
        headline=Target("chrf", source="depends on whose mails they are"),
        quick=QUICK,
    ),
)
