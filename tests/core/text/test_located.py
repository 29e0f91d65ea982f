"""From the characters of a document to tokens, and back: nothing moves."""

import unicodedata
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.specs import TokenizerSpec
from core.text.located import Located, locate
from core.text.tokenizer import Tokenizer
from core.text.words import borders_of, words_of

LEARNED = "The Denver Broncos (50th) don't stop, 안녕하세요 위키백과는 맛있게 é 한글 now?"
SPECS = {
    "marks": TokenizerSpec(kind="word", split_marks=True, vocabulary_size=60),
    "lower": TokenizerSpec(kind="word", split_marks=True, lower_case=True, vocabulary_size=60),
    "word": TokenizerSpec(kind="word", vocabulary_size=60),
    "char": TokenizerSpec(kind="char", vocabulary_size=100),
    "unigram": TokenizerSpec(kind="unigram", vocabulary_size=400, lower_case=True),
    "bpe": TokenizerSpec(kind="bpe", vocabulary_size=120, byte_fallback=False),
}
PIECES = [
    "Denver", "denver", "don't", "(50th)", "Beyoncé's", "U.S.", "1,000", "?", '"', "\u2581", "-",
    "안녕하세요", "위키백과는", "한글", "ᄒ\u1161\u11ab", "각\u11a8", "e\u0301", "\u0301", "\u0344",
    "हिन्दी", "👩\u200d👩\u200d👧", "👍🏽", "🇰🇷", "İ", "Σ", "ΑΣ", "ﬁ", "\u2126", "\ud83d", " ", "  ",
    "\n", "\u3000", "\u00a0", "a", "ё", "漢字",
]  # fmt: skip
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.text(max_size=20),
)


def spans(found: Located) -> list[tuple[int, int]]:
    return list(zip(found.starts, found.ends, strict=True))


def parts(found: Located) -> bool:
    """Whether a character of the text became several, and these are in different tokens."""
    return any(before != after and after[0] < before[1] for before, after in pairwise(spans(found)))


@cache
def tokenizer(kind: str) -> Tokenizer:
    return Tokenizer.train([LEARNED] * 5, SPECS[kind])


@pytest.mark.parametrize("kind", SPECS)
@given(text=texts)
def test_tokens_are_those_of_spell_one_behind_the_other(kind: str, text: str) -> None:
    found = locate(text, tokenizer(kind))

    assert list(found.spelled) == tokenizer(kind).spell(text)
    assert list(found.starts) == sorted(found.starts)
    assert list(found.ends) == sorted(found.ends)
    assert all(0 <= start < end <= len(text) for start, end in spans(found))


@pytest.mark.parametrize("kind", SPECS)
@given(text=texts)
def test_what_is_in_no_token_is_space(kind: str, text: str) -> None:
    found = locate(text, tokenizer(kind))
    covered = {place for one in spans(found) for place in range(*one)}

    assert all(char.isspace() for at, char in enumerate(text) if at not in covered)


@pytest.mark.parametrize("kind", SPECS)
@given(text=texts, data=st.data())
def test_a_run_of_tokens_comes_back_from_its_characters(kind, text, data) -> None:
    found = locate(text, tokenizer(kind))
    if not len(found):
        return
    first = data.draw(st.integers(0, len(found) - 1))
    last = data.draw(st.integers(first, len(found) - 1))
    start, end = found.characters(first, last)

    again = found.tokens(start, end)

    assert again is not None
    assert again[0] <= first <= last <= again[1]  # the bytes of one character stand at one place
    if not parts(found):
        assert found.characters(*again) == (start, end)


@pytest.mark.parametrize("kind", ["marks", "word", "char", "bpe"])
@given(text=texts)
@example(text="th")  # whose first token is the space before it
def test_a_character_in_normal_form_is_in_one_token_only(kind: str, text: str) -> None:
    assert not parts(locate(unicodedata.normalize("NFC", text), tokenizer(kind)))


@pytest.mark.parametrize("kind", SPECS)
@given(text=texts, data=st.data())
def test_the_tokens_of_an_answer_cover_it_and_no_more_than_they_must(kind, text, data) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    found = locate(text, tokenizer(kind))

    tokens = found.tokens(start, end)

    touched = [number for number, one in enumerate(spans(found)) if one[0] < end and start < one[1]]
    assert tokens == ((touched[0], touched[-1]) if touched else None)


@pytest.mark.parametrize("kind", ["marks", "lower", "word"])
@pytest.mark.parametrize(
    "answer", ["위키백과는", "e\u0301tude", "👩\u200d👩\u200d👧", "İstanbul", "ᄒ\u1161\u11ab글"]
)
def test_an_answer_of_whole_words_is_found_exactly(kind: str, answer: str) -> None:
    text = f"e\u0301 ΑΣ  안녕\u3000{answer} 👍🏽\n{answer}!"
    start = text.index(answer)
    found = locate(text, tokenizer(kind))

    tokens = found.tokens(start, start + len(answer))

    assert tokens is not None
    assert found.characters(*tokens) == (start, start + len(answer))


def test_words_and_marks_are_told_apart() -> None:
    text = "The U.S.'s well-known (50th) Beyoncé’s song, isn't it? 3.5 and,then"

    assert [text[start:end] for start, end in words_of(text)] == [
        "The", "U.S.", "'s", "well-known", "(", "50th", ")", "Beyoncé", "’s", "song", ",",
        "isn't", "it", "?", "3.5", "and", ",", "then",
    ]  # fmt: skip


def test_marks_that_close_are_written_without_a_space() -> None:
    words = tokenizer("marks")

    said = words.decode(words.encode("The Broncos, (now)?"))

    assert said == "The Broncos, ( now)?"


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("copper don't 50th 1,000 well-known U.S.", []),
        ("cafe\u0301 हिन्दी 👩\u200d👩\u200d👧", []),
        ("위키백과는", [1, 2, 3, 4]),  # whose last syllable is a particle
        ("1967년에", [4, 5]),
        ("東京と京都", [1, 2, 3, 4]),  # no spaces are written there
    ],
)
def test_whole_words_end_where_their_script_lets_them(text: str, inside: list[int]) -> None:
    ends = {place for word in words_of(text) for place in word}

    assert borders_of(text) == ends | set(inside)


@given(text=texts)
def test_what_is_whole_never_parts_a_character(text: str) -> None:
    borders = borders_of(text)

    assert {place for word in words_of(text) for place in word} <= borders
    assert not any(
        unicodedata.category(text[place])[0] == "M"
        for place in borders - {len(text)}
        if place and not text[place - 1].isspace() and text[place - 1].isalnum()
    )
