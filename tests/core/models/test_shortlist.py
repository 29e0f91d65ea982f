"""Shortlists: a line says what its source calls up, however that is multiplied."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from core.models.generators import Generator
from core.models.integers import FEW
from core.models.lexicon import Lexicon
from core.models.products import Multiplied, Packing
from core.models.ready_generator import ReadyGenerator
from core.models.shortlist import Lists, Shortlist
from core.text.tokenizer import EOS

WORDS, FEATURES = 400, 96
NEVER = torch.tensor([0, 1, 3])
PRECISIONS = pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
ENOUGH = 100  # steps after which words are put together if they ever are


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def generator(precision: Multiplied, *, bound: float | None = 1.0) -> ReadyGenerator:
    learned = Generator(feature_dim=FEATURES, vocabulary_size=WORDS)
    with torch.no_grad():
        learned.weight.copy_(numbers(1, WORDS, FEATURES))
        learned.bias.copy_(numbers(2, WORDS))
    return ReadyGenerator(learned, Packing(precision, 0), bound=bound, narrows=True).eval()


def a_list(seed: int, count: int) -> np.ndarray:
    chosen = np.random.default_rng(seed).choice(np.arange(4, WORDS), count, replace=False)
    return np.unique([EOS, *chosen])


def shortlist(*counts: int) -> Shortlist:
    return Shortlist.each([a_list(seed, count) for seed, count in enumerate(counts)], WORDS)


def expected(one: Shortlist, generator: ReadyGenerator, features: Tensor) -> Tensor:
    """Return logits (N, V) by all words, those that are not called up made impossible."""
    logits = generator(features).float()
    for line, source in enumerate(one.of.tolist()):
        called = one.lists.lists[source]
        if called is not None:
            hidden = np.setdiff1d(np.arange(WORDS), called.ids)
            logits[line, torch.from_numpy(hidden)] = -math.inf
    return logits


@torch.inference_mode()
def test_a_lexicon_calls_up_what_each_word_may_become() -> None:
    words = np.array([[5, 6], [6, 7], [8, 8], [9, 5], [4, 4], *[[3, 3]] * 5], dtype=np.int32)
    lexicon = Lexicon(words, np.array([1, 3], dtype=np.int32))
    assert lexicon.called_up([0, 2]).tolist() == [0, 1, 2, 3, 5, 6, 8]
    assert lexicon.called_up([]).tolist() == [1, 3]


@PRECISIONS
@pytest.mark.parametrize("counts", [(30,), (30, 20, 9), (20,) * (FEW + 3), (300, 20), (396, 390)])
@pytest.mark.parametrize("bound", [None, 1.0])
@torch.inference_mode()
def test_however_it_is_multiplied_a_line_says_the_same(
    precision: Multiplied, counts: tuple[int, ...], bound: float | None
) -> None:
    layer, one = generator(precision, bound=bound), shortlist(*counts)
    features = numbers(5, len(counts), FEATURES).tanh()
    wanted = expected(one, layer, features)
    allowed = wanted.index_fill(1, NEVER, -math.inf)
    near = {"atol": 2e-2 if precision == "bf16" else 1e-4, "rtol": 1e-2}
    for _ in range(ENOUGH):
        torch.testing.assert_close(one.logits(layer, features), wanted, **near)
        words = one.best(layer, features, NEVER, None)[1]
        assert words.tolist() == allowed.argmax(1).tolist()
        measured = one.best(layer, features, NEVER, lambda logits: logits.logsumexp(1))
        assert measured[1].tolist() == words.tolist()
        log_probs = wanted.log_softmax(1).gather(1, words.unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(measured[0], log_probs, **near)
    union = len({id_ for seed, count in enumerate(counts) for id_ in a_list(seed, count)})
    assert (one.lists.columns(layer, len(counts)) is not None) == (2 * union <= WORDS)


@PRECISIONS
@torch.inference_mode()
def test_lines_come_and_go_with_their_lists(precision: Multiplied) -> None:
    layer, one = generator(precision), shortlist(30, 20, 9)
    more = Shortlist.each([a_list(7, 12)], WORDS)
    for rows in ([0, 1, 2], [2, 0], [1, 1, 1, 0], [2] * 12):
        kept = one.select(torch.tensor(rows)).join([more])
        features = numbers(6, len(rows) + 1, FEATURES).tanh()
        for _ in range(3):
            found = kept.logits(layer, features)
            torch.testing.assert_close(found, expected(kept, layer, features), atol=2e-2, rtol=1e-2)
        lists = [set(a_list(row, (30, 20, 9)[row])) for row in rows] + [set(a_list(7, 12))]
        finite = [set(line.isfinite().nonzero().squeeze(1).tolist()) for line in found]
        assert finite == lists


def test_lists_that_nobody_asks_about_are_dropped() -> None:
    one = shortlist(*(5 for _ in range(12)))
    assert len(one.select(torch.arange(8)).lists) == 12
    assert len(one.select(torch.tensor([3, 9, 3])).lists) == 2


@torch.inference_mode()
def test_what_is_permitted_may_be_said_besides() -> None:
    one = shortlist(30, 20)
    missing = np.setdiff1d(np.arange(4, WORDS), np.union1d(a_list(0, 30), a_list(1, 20)))
    asked = int(missing[0])
    called = one.permitting([frozenset([asked]), frozenset()]).lists.lists
    assert called[0] is not None
    assert asked in called[0].words
    assert called[1] is not None
    assert asked not in called[1].words
    layer, features = generator("fp32"), numbers(5, 2, FEATURES).tanh()
    free = one.permitting([frozenset(), None])
    found = free.logits(layer, features)
    assert found[1].isfinite().all()
    assert not found[0].isfinite().all()
    anything = one.permitting([None, None])
    assert anything.lists.open
    torch.testing.assert_close(anything.logits(layer, features), layer(features))
    assert anything.join([anything]).lists.open
    mixed = anything.join([one])
    features = numbers(5, 4, FEATURES).tanh()
    torch.testing.assert_close(
        mixed.logits(layer, features), expected(mixed, layer, features), atol=1e-4, rtol=1e-4
    )


def test_lists_are_open_only_if_any_word_may_be_said() -> None:
    assert Lists([None], WORDS).open
    assert not shortlist(5).lists.open
