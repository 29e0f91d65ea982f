"""Small random networks of every architecture, and what they say of sequences that are given."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from core.data.batches import pad_sources
from core.decoding.step import Hypothesis, Wish
from core.models.build import Network
from core.models.lexicon import Lexicon
from core.models.ready import make_ready
from core.specs import ModelSpec
from core.text.tokenizer import EOS, PAD, UNK
from tests.core.models.family import VOCABULARY, model_of, pairwise, words

BEYOND = 2  # words that the vocabulary lacks, where a model can copy
SHARP = 4.0  # how many times as sure as a fresh network: words are neither certain nor alike

# Some words are parts of others, one is half a character: a text has many spellings.
SPELLINGS = (b"a", b"b", b"ab", b"c", b"bc", b" ", b"d", b"da", b"\xc3", b"\xa9", b"e", b"ee")


COPYING = ModelSpec(
    encoder="transformer",
    decoder="transformer",
    embedding_dim=8,
    hidden_dim=8,
    feed_forward_dim=12,
    heads=2,
    copy_source=True,
)


def architectures() -> list[ModelSpec]:
    """Return specs in which every two values of two fields meet, and a Transformer that copies."""
    return [*pairwise(), COPYING]


def one_of_each_kind() -> list[ModelSpec]:
    """Return an architecture for each way to read a source and to say something about it."""
    kinds = {(one.encoder, one.decoder, one.copy_source): one for one in architectures()}
    return list(kinds.values())


@cache
def fresh(spec: ModelSpec) -> Network:
    """Return the network of ``spec`` as it is made: it has learned nothing, and doubts."""
    return model_of(spec).eval()


@cache
def listed(spec: ModelSpec) -> Network:
    """Return the fresh network of ``spec``, which says what its source calls up by a lexicon."""
    chance = np.random.default_rng(1)
    words = chance.integers(5, VOCABULARY, (VOCABULARY, 3), dtype=np.int32)
    lexicon = Lexicon(words, np.array([UNK, EOS], dtype=np.int32))
    return make_ready(fresh(spec), "fp32", lexicon=lexicon, small=0)


@cache
def network(spec: ModelSpec) -> Network:
    """Return the random network of ``spec``, surer of its words than a fresh one."""
    model = model_of(spec).eval()
    with torch.no_grad():
        for name, parameter in model.generator.named_parameters():
            parameter.mul_(1.0 if name.endswith("bias") else SHARP)
    return model


def spell(id_: int) -> bytes:
    """Return what an id adds to a text; words beyond the vocabulary are capitals."""
    if id_ >= VOCABULARY:
        return bytes([ord("A") + id_ - VOCABULARY])
    return SPELLINGS[id_ - 5] if id_ >= 5 else b""


def text_of(tokens: Sequence[int]) -> bytes:
    """Return the text that ``tokens`` spell."""
    return b"".join(map(spell, tokens))


def a_source(spec: ModelSpec, row: int, length: int) -> tuple[int, ...]:
    """Return the source ``row``, of so many words; the last is to be copied where that can be.

    It is one alone: two unknown words can be exactly as likely, and then rounding decides.
    """
    source = words(row, length)
    if spec.copy_source:
        source[-1] = VOCABULARY + row % BEYOND
    return tuple(source)


def first_of(spec: ModelSpec, source: Sequence[int]) -> dict[str, int]:
    """Return what is heard before the first word, where that is no start sign."""
    return {"first": source[-1]} if spec.is_language_model else {}


@dataclass(frozen=True, slots=True)
class Forced:
    """What a network says while it is made to say a sequence; T steps, the end's included."""

    log_probs: Tensor  # (T, V) of what comes next
    attention: Tensor | None  # (T, S)


@torch.inference_mode()
def forced(
    model: Network,
    asked: Sequence[tuple[Sequence[int], Wish, Hypothesis]],
) -> list[Forced]:
    """Make ``model`` say every hypothesis after its source, all of them side by side.

    A word that a source does not bring along is unknown to it.
    """
    source, mask = pad_sources([one for one, _, _ in asked])
    state = model.start(source, mask)
    heard = torch.tensor([wish.first for _, wish, _ in asked])
    said = [[*one.tokens, EOS] for _, _, one in asked]
    longest = max(map(len, said))
    steps, looks = [], []
    for step in range(longest):
        logits, attention, state = model.step(heard, state)
        steps.append(logits.log_softmax(-1))
        looks.append(attention)
        next_ = torch.tensor([one[step] if step < len(one) else PAD for one in said])
        heard = next_.where(next_ < logits.size(1), UNK)
    log_probs = torch.stack(steps, dim=1)  # (N, T, V)
    told = None if looks[0] is None else torch.stack([one for one in looks if one is not None], 1)
    return [
        Forced(
            log_probs[row, : len(words_)],
            None if told is None else told[row, : len(words_), : len(asked[row][0])],
        )
        for row, words_ in enumerate(said)
    ]
