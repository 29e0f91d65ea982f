import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.text.stream import TextStream, cut
from tests.core.text.streaming import (
    CLUSTERS,
    KINDS,
    check_streaming,
    stopped,
    streamed,
    texts,
    trained,
)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_the_pieces_put_together_are_the_whole(kind: str, data: st.DataObject) -> None:
    tokenizer = trained(kind)
    ids = data.draw(st.lists(st.integers(0, tokenizer.size - 1)))

    assert "".join(streamed(tokenizer, ids)) == tokenizer.decode(ids)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@given(text=st.text() | texts)
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


@given(case=stopped())
@settings(max_examples=200, deadline=None)
def test_what_is_streamed_is_the_whole_up_to_a_stop(case) -> None:
    check_streaming(*case)


@pytest.mark.parametrize(
    ("text", "stops", "left"),
    [
        ("one. two. three", [". "], "one"),
        ("one", ["."], "one"),
        ("one", [], "one"),
        (".", ["."], ""),
        ("abcde", ["cde", "bc"], "a"),  # that one is whole first
        ("abcd", ["d", "bcd", "cd"], "a"),  # nothing of a longer one is left
        ("안녕하세요", ["하"], "안녕"),
    ],
)
def test_a_text_is_cut_where_the_first_stop_begins(text, stops, left) -> None:
    assert cut(text, stops) == left


def test_what_may_become_a_stop_waits_and_nothing_else() -> None:
    tokenizer = trained("char")
    pieces = streamed(tokenizer, tokenizer.encode("a b again"), ["b ac"])
    assert pieces == ["", "a", " ", "", "", "b a", "g", "a", "i", "n"]


def test_after_a_stop_there_is_nothing_more() -> None:
    tokenizer = trained("char")
    stream = TextStream(tokenizer, stop=["lo"])
    assert [stream.push(id_) for id_ in tokenizer.encode("hello")] == ["", "h", "e", "l", ""]
    assert [stream.push(id_) for id_ in tokenizer.encode("you")] == ["", "", ""]
    assert stream.flush() == ""
