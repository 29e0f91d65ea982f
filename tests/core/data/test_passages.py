from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.passages import passages
from core.data.sentences import all_sentences, containing
from core.data.spans import Span
from core.errors import SpecError
from core.specs import PassageSpec, parse

ANYTHING = st.text()
WRITTEN = st.lists(
    st.sampled_from(
        [
            "그는 갔다.",
            "왜요?",
            "Dr. Kim",
            "3.14",
            "…",
            "\n",
            "\n\n",
            " ",
            "e\u0301",
            "👩‍👩‍👧",
            "- ",
            "1. ",
            "“네.”",
        ]
    )
).map("".join)
TEXTS = ANYTHING | WRITTEN | st.text(alphabet=" \n.다a\u0301")
SPECS = st.builds(
    PassageSpec,
    max_characters=st.integers(16, 60),
    max_words=st.none() | st.integers(4, 9),
    min_characters=st.integers(0, 16),
    overlap=st.integers(0, 4),
)


def sentences(text: str) -> list[str]:
    return [span.of(text) for span in all_sentences(text)]


def assert_cover(text: str, spans: list[Span]) -> None:
    """Nothing but blanks is left out, and nothing begins or ends with a blank."""
    covered = [False] * len(text)
    for span in spans:
        assert 0 <= span.start < span.end <= len(text)
        assert span.of(text) == span.of(text).strip()
        covered[span.start : span.end] = [True] * (span.end - span.start)
    assert all(known or letter.isspace() for known, letter in zip(covered, text, strict=True))


@given(TEXTS)
def test_sentences_are_slices_in_order_that_leave_out_blanks_alone(text: str) -> None:
    spans = list(all_sentences(text))
    assert_cover(text, spans)
    assert all(one.end <= following.start for one, following in pairwise(spans))


@given(TEXTS, SPECS)
def test_passages_are_slices_within_their_bounds_that_leave_out_blanks_alone(
    text: str, spec: PassageSpec
) -> None:
    spans = list(passages(text, spec))
    assert_cover(text, spans)
    for span in spans:
        assert span.end - span.start <= spec.max_characters
        assert spec.max_words is None or len(span.of(text).split()) <= spec.max_words
    for one, following in pairwise(spans):
        assert one.start < following.start
        assert one.end < following.end
        assert spec.overlap or one.end <= following.start


@given(TEXTS, SPECS)
def test_passages_are_the_same_every_time(text: str, spec: PassageSpec) -> None:
    assert list(passages(text, spec)) == list(passages(text, spec))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("서울은 수도이다. 인구는 얼마일까? 천만이에요! 네.", 4),
        ("그가 왔다.그녀는 갔다.", 2),
        ("객체를 만듭니다. pointer 인자는 비울 수 없습니다.", 2),
        ("그는 갔다... maybe 아니다.", 1),
        ("그는 “나는 간다.”고 말했다. 그리고 갔다.", 2),
        ("“왜 가니?” 그가 물었다.", 2),
        ("“Why?” he asked. “Because.”", 2),
        ("Dr. Kim met J. R. Smith at 3.14 p.m. today. He paid $2.50 for No. 5.", 2),
        ("The U.S. Army left. It was 5.", 2),
        ("2019. 3. 1. 독립 선언을 기념했다. 끝.", 3),
        ("기온은 3.5도였다. 비가 왔다.", 2),
        ("Wait... what? Yes.", 2),
        ("これは本です。あれはペンです。", 2),
        ("1. First thing\n2. Second thing\n3. Third thing", 3),
        ("가. 첫째 항목\n나. 둘째 항목", 2),
        ("- one\n- two", 2),
        (
            "A heading\nThe paragraph below it, which is broken because\nit is long.",
            2,
        ),
        ("e.g. this, i.e. that, Fig. 3 and vs. those. Done.", 2),
        ("no end", 1),
        ("", 0),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: int) -> None:
    assert len(sentences(text)) == expected, sentences(text)


def test_a_short_paragraph_goes_with_what_follows_it() -> None:
    text = "Chapter One\n\nIt was a dark night, and nobody was there to see it.\n\nThe end."
    found = [span.of(text) for span in passages(text, PassageSpec(min_characters=20))]
    assert found == [text[: text.index("\n\nThe end")], "The end."]


def test_long_paragraphs_are_cut_at_sentences_and_overlap_by_sentences() -> None:
    text = " ".join(f"문장 {number}번입니다." for number in range(10))
    spec = PassageSpec(max_characters=30, min_characters=0)
    plain = [span.of(text) for span in passages(text, spec)]
    assert all(one.endswith("다.") for one in plain)
    assert " ".join(plain) == text
    repeating = passages(text, spec.model_copy(update={"overlap": 1}))
    for one, following in pairwise(span.of(text) for span in repeating):
        assert following.startswith(list(sentences(one))[-1])


def test_a_letter_is_not_parted_from_its_marks() -> None:
    text = "e\u0301" * 50
    found = [span.of(text) for span in passages(text, PassageSpec(max_characters=17))]
    assert "".join(found) == text
    assert all(one.startswith("e") and one.endswith("\u0301") for one in found)


def test_the_passage_of_a_slice_is_found() -> None:
    spans = [Span(0, 10), Span(8, 20), Span(25, 30)]
    assert containing(spans, 0, 10) == spans[0]
    assert containing(spans, 9, 12) == spans[1]
    assert containing(spans, 19, 26) is None
    assert containing(spans, 29, 31) is None


@pytest.mark.parametrize(
    "letters", [" ", "\n", ".", "a", "\u0301", ". ", "a.", "\n ", ".)", "(", "다."]
)
def test_a_text_of_one_thing_is_no_trouble(letters: str) -> None:
    text = letters * 100_000
    assert_cover(text, list(passages(text, PassageSpec(overlap=16))))


def test_a_key_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="colour"):
        parse(PassageSpec, {"colour": 1})
