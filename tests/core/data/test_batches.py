from pathlib import Path

import numpy as np
import pytest
import torch

from core.data.batches import EncodedPairs, collate, pad_sources
from core.data.examples import Exchange
from core.specs import TokenizerSpec
from core.text.tokenizer import BOS, EOS, PAD, SEP, UNK, Tokenizer

EXCHANGES = (
    Exchange(("hello",), "hi there"),
    Exchange(("hello", "hi there"), "how are you"),
    Exchange(("안녕하세요",), "네 안녕하세요"),
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [text for one in EXCHANGES for text in (*one.context, one.reply)]
    return Tokenizer.train(texts, TokenizerSpec(kind="char"))


def encoded(tokenizer: Tokenizer, directory: Path | None = None) -> EncodedPairs:
    return EncodedPairs.encode(
        EXCHANGES, tokenizer, max_source_tokens=12, max_target_tokens=8, directory=directory
    )


def test_too_long_sources_keep_their_end_and_targets_their_beginning(tokenizer: Tokenizer) -> None:
    pairs = encoded(tokenizer)

    assert pairs.source[1].tolist() == tokenizer.encode_turns(["hello", "hi there"])[-12:]
    assert pairs.source[1].tolist().count(SEP) == 1
    assert tokenizer.decode(pairs.target[1].tolist()) == "how are "
    assert pairs.source[1].tolist() == tokenizer.encode_turns(EXCHANGES[1].context)[-12:]


def test_lengths_are_those_of_the_sequences(tokenizer: Tokenizer) -> None:
    pairs = encoded(tokenizer)

    assert len(pairs) == 3
    assert pairs.source_lengths.tolist() == [5, 12, 5]
    assert pairs.target_lengths.tolist() == [8, 8, 7]


def test_on_disk_and_in_memory_are_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    memory, disk = encoded(tokenizer), encoded(tokenizer, tmp_path / "train")

    assert isinstance(disk.source.tokens.base, np.memmap)
    assert not isinstance(memory.source.tokens.base, np.memmap)
    for part in ("source", "target"):
        np.testing.assert_array_equal(getattr(disk, part).tokens, getattr(memory, part).tokens)
        np.testing.assert_array_equal(getattr(disk, part).offsets, getattr(memory, part).offsets)


def test_encoding_again_into_a_directory_leaves_the_old_arrays_to_their_users(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    first = encoded(tokenizer, tmp_path)
    before = first.source.tokens.tolist()

    EncodedPairs.encode([], tokenizer, max_source_tokens=4, max_target_tokens=4, directory=tmp_path)

    assert first.source.tokens.tolist() == before
    assert encoded(tokenizer, tmp_path).source.tokens.tolist() == before


def test_nothing_to_encode_gives_no_rows(tokenizer: Tokenizer, tmp_path: Path) -> None:
    for directory in (None, tmp_path):
        pairs = EncodedPairs.encode(
            [], tokenizer, max_source_tokens=4, max_target_tokens=4, directory=directory
        )
        assert len(pairs) == 0
        assert pairs.source_lengths.tolist() == []


def test_many_sequences_outgrow_the_first_header(tokenizer: Tokenizer, tmp_path: Path) -> None:
    pairs = EncodedPairs.encode(
        [EXCHANGES[0]] * 12_345,
        tokenizer,
        max_source_tokens=4,
        max_target_tokens=4,
        directory=tmp_path,
    )

    assert len(pairs) == 12_345
    assert pairs.target[12_344].tolist() == pairs.target[0].tolist()


def test_a_batch_is_padded_and_masked(tokenizer: Tokenizer) -> None:
    batch = collate(encoded(tokenizer), np.array([2, 1]))

    assert batch.source.shape == batch.source_mask.shape == (2, 12)
    assert batch.target.shape == batch.target_mask.shape == (2, 10)
    assert batch.source.dtype == batch.target.dtype == torch.int64
    assert batch.source_mask.dtype == batch.target_mask.dtype == torch.bool
    assert batch.source_mask.sum(1).tolist() == [5, 12]
    assert batch.target_mask.sum(1).tolist() == [9, 10]
    assert batch.target[:, 0].tolist() == [BOS, BOS]
    assert batch.target[0].tolist() == [BOS, *tokenizer.encode("네 안녕하세요"), EOS, PAD]
    assert batch.source[~batch.source_mask].eq(PAD).all()


def test_a_row_is_the_same_in_any_company(tokenizer: Tokenizer) -> None:
    pairs = encoded(tokenizer)
    alone, among = collate(pairs, [0]), collate(pairs, [1, 0, 2])

    assert among.source[1][among.source_mask[1]].tolist() == alone.source[0].tolist()
    assert among.target[1][among.target_mask[1]].tolist() == alone.target[0].tolist()


def test_a_source_without_tokens_still_has_one() -> None:
    source, mask = pad_sources([[], [7, 8]])

    assert source.tolist() == [[UNK, PAD], [7, 8]]
    assert mask.tolist() == [[True, False], [True, True]]
