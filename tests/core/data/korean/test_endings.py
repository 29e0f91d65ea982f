"""Statements and the questions that they become."""

import pytest

from core.data.korean.endings import asked


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
