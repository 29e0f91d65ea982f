"""Lexicons: what each word may become, learned from pairs alone."""

import random

import numpy as np
import pytest

from core.data.arrays import Ragged
from core.data.batches import EncodedPairs
from core.text.tokenizer import EOS, UNK
from core.training import lexical
from core.training.lexical import coverage, learn_lexicon

WORDS = 40  # of each language; those of the second stand behind those of the first
FIRST, SECOND = 5, 45
SIZE = 90
EVERYWHERE = 89  # a word of the second that answers to none


def ragged(rows: list[list[int]]) -> Ragged:
    return Ragged(
        tokens=np.array([id_ for row in rows for id_ in row], dtype=np.int32),
        offsets=np.cumsum([0, *map(len, rows)]),
    )


def pairs(count: int, *, seed: int = 1) -> EncodedPairs:
    """Return a language whose every word has one translation, in any order."""
    chance, sources, targets = random.Random(seed), [], []
    for _ in range(count):
        said = [chance.randrange(WORDS) for _ in range(chance.randint(1, 8))]
        sources.append([FIRST + word for word in said])
        chance.shuffle(said)
        targets.append([*(SECOND + word for word in said), EVERYWHERE])
    return EncodedPairs(source=ragged(sources), target=ragged(targets))


@pytest.fixture(autouse=True)
def few_are_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexical, "ALWAYS", 1)


def test_each_word_calls_up_its_translation() -> None:
    lexicon = learn_lexicon(pairs(1500), vocabulary_size=SIZE, words=1)
    assert [lexicon.words[FIRST + word, 0] - SECOND for word in range(WORDS)] == [*range(WORDS)]
    assert {EOS, UNK, EVERYWHERE} <= set(lexicon.always.tolist())
    assert coverage(lexicon, pairs(200, seed=2)) == 1.0


def test_a_word_that_was_never_read_calls_up_itself_alone() -> None:
    lexicon = learn_lexicon(pairs(300), vocabulary_size=SIZE, words=3)
    unread = SIZE - 2
    assert set(lexicon.called_up([unread])) == {unread, *lexicon.always.tolist()}


def test_coverage_counts_what_is_not_called_up() -> None:
    lexicon = learn_lexicon(pairs(1500), vocabulary_size=SIZE, words=1)
    odd = EncodedPairs(source=ragged([[FIRST]]), target=ragged([[SECOND, SECOND + 1]]))
    assert coverage(lexicon, odd) == 0.5


def test_the_same_pairs_teach_the_same() -> None:
    one, two = (learn_lexicon(pairs(200), vocabulary_size=SIZE, words=5) for _ in range(2))
    assert (one.words == two.words).all()
    assert (one.always == two.always).all()


def test_of_a_large_corpus_a_share_from_all_of_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus = pairs(6000)
    cells = int(((corpus.source_lengths + 1) * corpus.target_lengths).sum())
    monkeypatch.setattr(lexical, "MOST", cells // 4)
    lexicon = learn_lexicon(corpus, vocabulary_size=SIZE, words=1)
    assert coverage(lexicon, pairs(200, seed=2)) == 1.0


def test_a_pair_without_words_teaches_nothing() -> None:
    empty = EncodedPairs(source=ragged([[], [FIRST]]), target=ragged([[SECOND], []]))
    lexicon = learn_lexicon(empty, vocabulary_size=SIZE, words=2)
    assert set(lexicon.called_up([FIRST])) <= {FIRST, EOS, UNK, SECOND}
