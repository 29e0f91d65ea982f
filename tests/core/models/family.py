"""The architectures that a ModelSpec can describe, made from ModelSpec itself, two by two."""

import random
from itertools import combinations
from typing import Any, Literal, get_args, get_origin

import torch
from pydantic import ValidationError
from torch import Tensor

from core.data.batches import Batch
from core.data.texts import TextBatch
from core.models.build import Network, build
from core.specs import ModelSpec
from core.text.tokenizer import BOS, EOS

VOCABULARY = 17

# What numbers are tried; of a Literal or a bool every value is, for it says them itself.
NUMBERS: dict[str, tuple[object, ...]] = {
    "embedding_dim": (8, 6),
    "hidden_dim": (8,),
    "encoder_hidden_dim": (None, 4, 5),
    "encoder_layers": (1, 2),
    "decoder_layers": (1, 2),
    "dropout": (0.0, 0.2),
    "weight_drop": (0.0, 0.3),
    "attention_window": (5, 1),
    "heads": (2, 1),
    "feed_forward_dim": (12, 7),
    "window": (None, 3),
    "questions": (None,),  # which have a family of their own
}
POOL = 80  # random specs of each kind of network, to choose from

RECURRENT = {"cell", "residual", "layer_norm", "locked_dropout", "weight_drop"}
TRANSFORMER = {"heads", "feed_forward_dim"}
ENCODER = {"encoder_layers", "shared_embedding", "copy_source"}
BETWEEN = {"bridge", "attention", "attention_position", "input_feeding", "coverage", "peeky"}

Pair = tuple[tuple[str, object], tuple[str, object]]


def values_of(name: str) -> tuple[object, ...]:
    """Return what is tried of a field; KeyError for a number that nobody thought of."""
    kind = ModelSpec.model_fields[name].annotation
    if get_origin(kind) is Literal:
        return get_args(kind)
    return (False, True) if kind is bool else NUMBERS[name]


def choices() -> dict[str, tuple[object, ...]]:
    """Return what is tried of every field."""
    return {name: values_of(name) for name in ModelSpec.model_fields}


def idle(spec: ModelSpec) -> set[str]:
    """Return the fields that mean nothing to ``spec``, as ModelSpec says of them."""
    kinds = {spec.encoder, spec.decoder}
    fields = set() if "recurrent" in kinds else set(RECURRENT)
    fields |= set() if "transformer" in kinds else TRANSFORMER
    fields |= ENCODER if spec.is_language_model else {"window"}
    if spec.encoder != "recurrent":
        fields |= {"encoder_hidden_dim", "reversed_source"}
    if spec.encoder != "recurrent" and (spec.decoder, spec.encoder) != ("recurrent", "none"):
        fields.add("bidirectional")
    if spec.decoder != "recurrent" or spec.is_language_model:
        fields |= BETWEEN
    if spec.attention != "local" or "attention" in fields:
        fields.add("attention_window")
    return fields


def admitted(values: dict[str, Any]) -> ModelSpec | None:
    """Return the spec with these values, or None where it refuses them."""
    try:
        return ModelSpec(**values)
    except ValidationError:
        return None


def pairs_of(spec: ModelSpec) -> set[Pair]:
    """Return every two values of two fields that meet in ``spec`` and mean something there."""
    busy = [name for name in ModelSpec.model_fields if name not in idle(spec)]
    return set(combinations(((name, getattr(spec, name)) for name in busy), 2))


def pairwise(seed: int = 0) -> list[ModelSpec]:
    """Return few specs in which every two values of two fields meet that some spec lets meet.

    Few of very many: those that try most of what is left, of a pool that is random but for
    holding every kind of network.
    """
    chance = random.Random(seed)
    pool = [
        spec
        for encoder in values_of("encoder")
        for decoder in values_of("decoder")
        for spec in _some(encoder, decoder, chance)
    ]
    pairs = [pairs_of(spec) for spec in pool]
    missing = set().union(*pairs)
    chosen = []
    while missing:
        chosen.append(max(range(len(pool)), key=lambda number: len(pairs[number] & missing)))
        missing -= pairs[chosen[-1]]
    return [pool[number] for number in sorted(chosen)]


def label(spec: ModelSpec) -> str:
    """Name ``spec`` by what it changes."""
    changed = spec.model_dump(exclude_defaults=True, exclude=idle(spec))
    return " ".join(f"{name}={value}" for name, value in changed.items())


def _some(encoder: object, decoder: object, chance: random.Random) -> list[ModelSpec]:
    """Return ``POOL`` specs of one kind of network; fields that mean nothing to it are left."""
    found: list[ModelSpec] = []
    while len(found) < POOL:
        values = {name: chance.choice(known) for name, known in choices().items()}
        values |= {"encoder": encoder, "decoder": decoder}
        for name in idle(ModelSpec.model_construct(**values)):
            del values[name]
        if (spec := admitted(values)) is not None:
            found.append(spec)
    return found


def model_of(spec: ModelSpec, vocabulary_size: int = VOCABULARY) -> Network:
    torch.manual_seed(0)
    model = build(spec, vocabulary_size=vocabulary_size)
    for name, parameter in model.named_parameters():
        if name.endswith(("bias", "coverage")):  # which begin at zero, where all looks alike
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def words(row: int, length: int, top: int = VOCABULARY) -> list[int]:
    """Return the words of a row, which are the same in any company."""
    seeded = torch.Generator().manual_seed(97 * row + length)
    return torch.randint(5, top, (length,), generator=seeded).tolist()


def padded(rows: list[list[int]], padding: int) -> tuple[Tensor, Tensor]:
    width = max(map(len, rows)) + padding
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    return ids, torch.arange(width) < torch.tensor([[len(row)] for row in rows])


def pairs(
    spec: ModelSpec, lengths: dict[int, tuple[int, int]], padding: tuple[int, int] = (0, 0)
) -> Batch:
    """Return rows by number, (source, target) tokens each; each may have a word to copy."""
    sources, targets = [], []
    for row, (source, target) in lengths.items():
        sources.append(words(row, source))
        targets.append([BOS, *words(row + 50, target), EOS])
        if spec.copy_source:
            sources[-1][-1] = targets[-1][target] = VOCABULARY + row % 2
    source, source_mask = padded(sources, padding[0])
    target, target_mask = padded(targets, padding[1])
    return Batch(source=source, source_mask=source_mask, target=target, target_mask=target_mask)


def stretches(spec: ModelSpec, rows: list[int], steps: int = 6) -> TextBatch:
    text = torch.tensor([words(row, steps + 1) for row in rows])
    mask = torch.ones(len(rows), steps, dtype=torch.bool)
    if spec.window is not None:
        mask[:, :-1] = False
    return TextBatch(tokens=text[:, :-1], gold=text[:, 1:], mask=mask)


def some_batch(spec: ModelSpec) -> Batch | TextBatch:
    if spec.is_language_model:
        return stretches(spec, [0, 1, 2])
    return pairs(spec, {0: (5, 4), 1: (2, 1), 2: (7, 3)})
