from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.texts import EncodedText, stretches, windows
from core.specs import TokenizerSpec
from core.text.tokenizer import EOS, Tokenizer

TEXTS = ("the fox and the grapes", "the crow and the pitcher", "여우와 포도")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, TokenizerSpec(kind="char"))


def counted(length: int) -> EncodedText:
    return EncodedText(np.arange(length, dtype=np.int32))


def test_texts_stand_end_to_end_each_with_its_end(tokenizer: Tokenizer) -> None:
    plain = EncodedText.encode(TEXTS, tokenizer)
    ended = EncodedText.encode(TEXTS, tokenizer, end=EOS)

    assert plain.tokens.tolist() == [id_ for text in TEXTS for id_ in tokenizer.encode(text)]
    assert ended.tokens[ended.tokens != EOS].tolist() == plain.tokens.tolist()
    assert [*ended.tokens].count(EOS) == len(TEXTS)
    assert ended.tokens[-1] == EOS


def test_text_on_disk_is_mapped_and_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    memory = EncodedText.encode(TEXTS, tokenizer, end=EOS)
    disk = EncodedText.encode(TEXTS, tokenizer, directory=tmp_path / "train", end=EOS)

    assert isinstance(disk.tokens.base, np.memmap)
    np.testing.assert_array_equal(disk.tokens, memory.tokens)
    assert disk.tokens.dtype == np.int32


def test_no_text_is_no_tokens(tokenizer: Tokenizer, tmp_path: Path) -> None:
    assert len(EncodedText.encode([], tokenizer)) == 0
    assert len(EncodedText.encode([], tokenizer, directory=tmp_path)) == 0


@given(starts=st.lists(st.integers(0, 29), min_size=1, max_size=8), steps=st.integers(1, 10))
def test_gold_is_what_follows(starts: list[int], steps: int) -> None:
    batch = stretches(counted(40), starts, steps)

    assert batch.tokens.shape == batch.gold.shape == batch.mask.shape == (len(starts), steps)
    assert batch.tokens[:, 0].tolist() == starts
    assert (batch.gold == batch.tokens + 1).all()
    assert batch.mask.all()


@given(starts=st.lists(st.integers(0, 29), min_size=1, max_size=8), steps=st.integers(1, 10))
def test_a_window_is_asked_for_the_word_after_it_only(starts: list[int], steps: int) -> None:
    batch = windows(counted(40), starts, steps)

    assert batch.mask.sum(1).tolist() == [1] * len(starts)
    assert batch.gold[batch.mask].tolist() == [start + steps for start in starts]
