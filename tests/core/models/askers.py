"""The networks that ask questions, one for each choice of a spec, and passages for them."""

from typing import Any

import torch

from core.data.asking import EncodedPassages, PassageBatch, collate
from core.data.marks import with_shape
from core.models.asker import Asker
from core.models.build import build
from core.specs import ModelSpec, QuestionSpec, merge
from tests.core.training.learners import ragged

VOCABULARY = 23
ANSWER: dict[str, Any] = {"attention": "none", "bridge": "last", "output_bias": False}
BASE = ModelSpec(
    embedding_dim=6,
    encoder_hidden_dim=4,
    hidden_dim=8,
    dropout=0.0,
    attention="additive",
    questions=QuestionSpec(longest_answer=3, tag_dim=3, shape_dim=2, reader_dim=5),
)
POINTER: dict[str, Any] = {"copy_source": True, "coverage": True}
SPECS: dict[str, ModelSpec] = {
    "note": merge(
        BASE,
        {
            **ANSWER,
            "tied_output": False,
            "questions": {"proposer": "tags", "condition": "answer", "shape_dim": 0},
        },
    ),
    "pointer": merge(BASE, POINTER),
    "lstm": merge(BASE, {**POINTER, "cell": "lstm", "encoder_layers": 2, "decoder_layers": 2}),
    "rnn, read backwards": merge(BASE, {"cell": "rnn", "reversed_source": True}),
    "one direction, peeky": merge(BASE, {"bidirectional": False, "peeky": True}),
    "attention over the answer": merge(BASE, {"questions": {"condition": "answer"}}),
    "two layers of answers": merge(
        BASE, {**ANSWER, "decoder_layers": 2, "questions": {"condition": "answer"}}
    ),
    "separate": merge(BASE, {**POINTER, "questions": {"separate": True}}),
    "separate note": merge(
        BASE, {**ANSWER, "questions": {"condition": "answer", "separate": True}}
    ),
    "gated": merge(BASE, {**POINTER, "questions": {"self_attention": "gated"}}),
    "gated and separate": merge(
        BASE, {**POINTER, "questions": {"self_attention": "gated", "separate": True}}
    ),
    "tags with a pointer": merge(BASE, {**POINTER, "questions": {"proposer": "tags"}}),
}


def asker(spec: ModelSpec, seed: int = 0) -> Asker:
    torch.manual_seed(seed)
    model = build(spec, vocabulary_size=VOCABULARY)
    assert isinstance(model, Asker)
    for name, parameter in model.named_parameters():
        if name.endswith(("bias", "coverage")):  # which begin at zero, where all looks alike
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def encoded(*, copied: bool) -> EncodedPassages:
    """Return four passages with six questions; words beyond the vocabulary where they may be."""
    chance = torch.Generator().manual_seed(1)

    def words(count: int) -> list[int]:
        return torch.randint(5, VOCABULARY, (count,), generator=chance).tolist()

    sources = [words(9), words(4), words(12), words(1)]
    questions = [words(4), words(2), words(1), words(6), [], words(3)]
    if copied:
        sources[0][3] = questions[0][1] = VOCABULARY
        sources[2][0] = questions[3][2] = VOCABULARY + 1
    shapes = ("a", "A", "AB", "12", "한", "?")
    marked = [
        [with_shape(word, shapes[word % len(shapes)]) for word in source] for source in sources
    ]
    spans = [[0, 1, 3, 3], [3, 3], [4, 6, 4, 6], [0, 0]]
    return EncodedPassages(source=ragged(marked), spans=ragged(spans), questions=ragged(questions))


def batch_of(spec: ModelSpec, rows: list[int]) -> PassageBatch:
    return collate(encoded(copied=spec.copy_source), rows)
