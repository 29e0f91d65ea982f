"""Statements and the questions that they become."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.korean.endings import asked, plainly


@pytest.mark.parametrize(
    ("statement", "question"),
    [
        ("무엇을 제공합니다", "무엇을 제공하는가?"),
        ("무엇을 제공한다", "무엇을 제공하는가?"),
        ("무엇이 필요합니다", "무엇이 필요한가?"),
        ("무엇이 필요하다", "무엇이 필요한가?"),
        ("무엇이 필요하지 않습니다", "무엇이 필요하지 않은가?"),
        ("무엇이 반환되지 않습니다", "무엇이 반환되지 않는가?"),
        ("무엇이 객체입니다", "무엇이 객체인가?"),
        ("무엇이 글자이다", "무엇이 글자인가?"),
        ("무엇이 정보입니다", "무엇이 정보인가?"),
        ("무엇이 보입니다", "무엇이 보이는가?"),
        ("무엇을 받아들입니다", "무엇을 받아들이는가?"),
        ("무엇이 객체들입니다", "무엇이 객체들인가?"),
        ("무엇을 만듭니다", "무엇을 만드는가?"),
        ("무엇을 먹는다", "무엇을 먹는가?"),
        ("무엇을 만들었습니다", "무엇을 만들었는가?"),
        ("무엇을 했다", "무엇을 했는가?"),
        ("무엇이 있어", "무엇이 있는가?"),
        ("무엇을 샀어요", "무엇을 샀는가?"),
        ("무엇이 없다", "무엇이 없는가?"),
        ("무엇과 같습니다", "무엇과 같은가?"),
        ("무엇이 다릅니다", "무엇이 다른가?"),
        ("무엇이 아닙니다", "무엇이 아닌가?"),
        ("무엇이 아니다", "무엇이 아닌가?"),
        ("무엇이 어렵다", "무엇이 어려운가?"),
        ("무엇을 얻습니다", "무엇을 얻는가?"),
        ("무엇을 볼 겁니다", "무엇을 볼 것인가?"),
    ],
)
def test_a_statement_is_asked_plainly(statement: str, question: str) -> None:
    assert asked(statement) == question


@pytest.mark.parametrize(
    "statement",
    ["보십시오", "그거 먹어", "가자", "길다", "머리를 긋습니다", "정말", "", "니다", "다"],
)
def test_an_ending_that_is_not_known_asks_nothing(statement: str) -> None:
    assert asked(statement) is None


@pytest.mark.parametrize(
    ("polite", "plain"),
    [
        ("값을 제공합니다", "값을 제공한다"),
        ("값이 필요합니다", "값이 필요하다"),
        ("값이 필요하지 않습니다", "값이 필요하지 않다"),
        ("값이 반환되지 않습니다", "값이 반환되지 않는다"),
        ("값은 객체입니다", "값은 객체이다"),
        ("값이 보입니다", "값이 보인다"),
        ("값을 만듭니다", "값을 만든다"),
        ("값을 만들었습니다", "값을 만들었다"),
        ("값이 없습니다", "값이 없다"),
        ("값이 많습니다", "값이 많다"),
        ("값을 얻습니다", "값을 얻는다"),
        ("값이 다릅니다", "값이 다르다"),
        ("값이 아닙니다", "값이 아니다"),
        ("값을 볼 겁니다", "값을 볼 것이다"),
    ],
)
def test_what_is_said_politely_is_said_plainly(polite: str, plain: str) -> None:
    assert plainly(polite) == plain
    assert asked(plain) == asked(polite) is not None


@pytest.mark.parametrize(
    "statement", ["값을 제공한다", "보십시오", "머리를 긋습니다", "니다", "", "정말"]
)
def test_what_is_not_polite_or_not_known_stays(statement: str) -> None:
    assert plainly(statement) is None


@given(st.text("가나다라마바사이하되있없았많같지않받얻ㅂ습합됩입 ", max_size=6))
def test_both_styles_are_asked_alike(begin: str) -> None:
    plain = plainly(f"{begin}니다")
    if plain is not None and (polite := asked(f"{begin}니다")) is not None:
        assert asked(plain) in (polite, None)
