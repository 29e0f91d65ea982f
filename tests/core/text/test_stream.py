import functools
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.specs import TokenizerSpec
from core.text.stream import TextStream
from core.text.tokenizer import Tokenizer

KINDS = ("char", "word", "unigram", "bpe")
CLUSTERS = (
    "é",
    "\u1112\u1161\u11ab",
    "한\u11ab",
    "👍🏽",
    "👩\u200d👩\u200d👧",
    "❤\ufe0f",
    "x\u0302",
)


@functools.cache
def trained(kind: str) -> Tokenizer:
    lines = ["hello world again", "안녕하세요 반갑습니다", "각 나 다 \u0301 \u11ab"]
    return Tokenizer.train(lines, TokenizerSpec(kind=kind, vocabulary_size=400))


def streamed(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    stream = TextStream(tokenizer)
    return [*map(stream.push, ids), stream.flush()]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_the_pieces_put_together_are_the_whole(kind: str, data: st.DataObject) -> None:
    tokenizer = trained(kind)
    ids = data.draw(st.lists(st.integers(0, tokenizer.size - 1)))

    assert "".join(streamed(tokenizer, ids)) == tokenizer.decode(ids)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@given(text=st.text())
def test_no_piece_is_broken_or_changes_what_stands(kind: str, text: str) -> None:
    tokenizer = trained(kind)
    pieces = streamed(tokenizer, tokenizer.encode(text))

    assert "".join(pieces) == unicodedata.normalize("NFC", text)
    apart = "".join(unicodedata.normalize("NFC", piece) for piece in pieces)
    assert apart == unicodedata.normalize("NFC", "".join(pieces))


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_what_is_seen_as_one_character_arrives_as_one(cluster: str) -> None:
    tokenizer = trained("unigram")
    ids = [id_ for part in cluster for id_ in tokenizer.encode(part)[1:]]  # without the space
    after = tokenizer.encode("hello")

    pieces = [piece for piece in streamed(tokenizer, [*ids, *after]) if piece]

    assert pieces[0] == cluster


def test_text_arrives_at_most_one_character_late() -> None:
    tokenizer = trained("char")

    assert streamed(tokenizer, tokenizer.encode("hello")) == ["", "h", "e", "l", "l", "o"]


def test_a_character_cut_off_at_the_end_is_replaced_not_lost() -> None:
    tokenizer = trained("unigram")
    ids = tokenizer.encode("👍")[:-1]

    assert "".join(streamed(tokenizer, ids)) == tokenizer.decode(ids) == "\ufffd"
