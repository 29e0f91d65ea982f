"""Hangul syllables, and the particles that hang on what they end with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text.hangul import final, is_syllable, with_final
from core.text.particles import fits, parted, without_particle

SYLLABLES = st.characters(min_codepoint=ord("가"), max_codepoint=ord("힣"))
CONSONANTS = st.sampled_from(["", *"ㄱㄴㄷㄹㅁㅂㅅㅆㅇㅎㅄ"])


@pytest.mark.parametrize(
    ("text", "consonant"), [("값", "ㅄ"), ("나", ""), ("문자열", "ㄹ"), ("GIL", None), ("", None)]
)
def test_a_syllable_says_what_it_ends_with(text: str, consonant: str | None) -> None:
    assert final(text) == consonant


@given(SYLLABLES, CONSONANTS)
def test_what_is_put_at_the_end_is_found_there_and_can_be_taken_away(char, consonant) -> None:
    closed = with_final(char, consonant)
    assert is_syllable(closed)
    assert final(closed) == consonant
    assert with_final(closed, final(char) or "") == char


@pytest.mark.parametrize(
    ("stem", "right", "wrong"),
    [
        *(("값", "이", "가"), ("수", "가", "이"), ("값", "은", "는"), ("수", "를", "을")),
        *(("값", "으로", "로"), ("수", "로", "으로"), ("문자열", "로", "으로")),
        *(("값", "과", "와"), ("수", "라고", "이라고")),
    ],
)
def test_the_sound_before_a_particle_asks_for_its_form(stem, right, wrong) -> None:
    assert fits(stem, right)
    assert not fits(stem, wrong)


@pytest.mark.parametrize("particle", ["은", "는", "을", "를", "로", "으로", "에서"])
def test_behind_letters_each_form_will_do(particle: str) -> None:
    assert fits("GIL", particle)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("파이썬은 인터프리터를 제공합니다.", "파이썬|은 인터프리터|를 제공합니다."),
        ("서버에서는 None을, 객체입니다.", "서버|에서는 None|을, 객체|입니다."),
        ("추가된 객체로부터", "추가된 객체로|부터"),
        ("수을 값를", "수을 값를"),  # forms that do not fit
        ("", ""),
    ],
)
def test_particles_are_parted_from_what_they_stand_behind(text: str, shown: str) -> None:
    assert parted(text, "|") == shown


@pytest.mark.parametrize(
    ("text", "noun"),
    [
        *(("인터프리터를", "인터프리터"), ("새 객체입니다", "새 객체"), ("세종", "세종")),
        *(("서버를 보는", "서버를 보"), ("를", "를"), ("", "")),
    ],
)
def test_a_particle_at_the_end_is_taken_away(text: str, noun: str) -> None:
    assert without_particle(text) == noun


@given(st.text(st.sampled_from("가값수를을은는에서로으 a1.,")))
def test_parting_adds_nothing_but_borders(text: str) -> None:
    assert parted(text, "|").replace("|", "") == text
