"""A corpus and a plan so small that a model is trained in a second."""

from core.data.examples import Dialogue, Example, Pair, Text
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec, TrainSpec

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
