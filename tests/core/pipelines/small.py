"""A corpus and a plan so small that a model is trained in a second."""

from core.data.examples import (
    AnsweredQuestion,
    Dialogue,
    Example,
    Pair,
    Passage,
    Span,
    Text,
)
from core.specs import DecodeSpec, ModelSpec, Plan, QuestionSpec, TokenizerSpec, TrainSpec

SAID = [
    ("안녕하세요", "네, 안녕하세요."),
    ("밥 먹었어?", "네, 맛있게 먹었어요."),
    ("비가 와요", "우산 챙기세요."),
    ("hello", "hi there"),
    ("how are you", "very well, thanks"),
    ("고마워요", "천만에요."),
    ("good night", "sleep well"),
    ("잘 자", "좋은 꿈 꾸세요."),
    ("독", "poison"),
]
PAIRS: list[Example] = [Pair(source, target) for source, target in SAID]
TALKS: list[Example] = [Dialogue(("안녕", "반가워요", "밥 먹었어?", "네, 먹었어요"))] * 8


def small_plan(**train: object) -> Plan:
    """A plan of a few seconds; keywords change its TrainSpec."""
    return Plan(
        tokenizer=TokenizerSpec(kind="char", vocabulary_size=200),
        model=ModelSpec(embedding_dim=24, hidden_dim=32, dropout=0.0),
        train=TrainSpec(
            batch_size=4,
            max_epochs=100,
            learning_rate=0.015,
            warmup_steps=10,
            decay="linear",
            label_smoothing=0.0,
            validate_every=40,
            patience=None,
            keep="last",
            snapshot_every_s=0,
        ).model_copy(update=train),
        decode=DecodeSpec(beam_size=2, max_tokens=30),
    )


def every_split(examples: list[Example]):
    """Stand in for a corpus whose splits all hold the same examples."""
    return lambda split: examples


TALE: list[Example] = [
    Text("the fox saw the grapes on the vine"),
    Text("the grapes on the vine hung high"),
    Text("the fox went home and the grapes hung high on the vine"),
] * 6
LANGUAGE = Plan(
    task="language",
    tokenizer=TokenizerSpec(kind="closed", vocabulary_size=50),
    model=ModelSpec(
        encoder="none",
        cell="gru",
        bidirectional=False,
        embedding_dim=16,
        hidden_dim=24,
        dropout=0.0,
        tied_output=False,
    ),
    train=TrainSpec(
        batch_size=2,
        bptt=8,
        max_epochs=12,
        learning_rate=0.02,
        warmup_steps=4,
        label_smoothing=0.0,
        validate_every=None,
        report_rows=5,
        patience=None,
        keep="last",
        snapshot_every_s=0,
    ),
    decode=DecodeSpec(beam_size=1, max_tokens=8),
)

TOWNS = [
    ("Seoul", "Korea", "the Han", "한강"),
    ("Paris", "France", "the Seine", "센강"),
    ("Cairo", "Egypt", "the Nile", "나일강"),
    ("Vienna", "Austria", "the Danube 👍🏽", "도나우강"),
]


def about(town: str, land: str, river: str, korean: str) -> Passage:
    """A passage with three questions; its characters are not in normal form."""
    context = f"The cafe\u0301 town {town} lies in {land}. Its river is {river} ({korean})."
    asked = ((f"Where is {town}?", land), (f"Which river has {town}?", river), ("무슨 강?", korean))
    questions = (
        AnsweredQuestion(text, (Span(context.index(answer), context.index(answer) + len(answer)),))
        for text, answer in asked
    )
    return Passage(town, context, tuple(questions))


PASSAGES: list[Example] = [about(*town) for town in TOWNS]
QUESTIONS = Plan(
    task="questions",
    tokenizer=TokenizerSpec(kind="word", split_marks=True, vocabulary_size=26),
    model=ModelSpec(
        embedding_dim=16,
        encoder_hidden_dim=12,
        hidden_dim=24,
        dropout=0.0,
        copy_source=True,
        coverage=True,
        tied_output=False,
        questions=QuestionSpec(longest_answer=6, shape_dim=4, tag_dim=4, reader_dim=12),
    ),
    train=TrainSpec(
        batch_size=2,
        max_epochs=60,
        learning_rate=0.02,
        warmup_steps=4,
        decay="linear",
        label_smoothing=0.0,
        validate_every=None,
        report_rows=20,
        patience=None,
        keep="last",
        snapshot_every_s=0,
    ),
    decode=DecodeSpec(beam_size=2, n_best=2, max_tokens=12),
)
