"""Kinds of questions."""

import pytest

from core.data.kinds import OTHER, kind_of


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who wrote Hamlet?", "who"),
        ("In what year was it built?", "when"),
        ("By whom was the city, when it fell, taken?", "who"),
        ("HOW MANY people live there?", "how many"),
        ("How is glass made?", "how"),
        ("What is a whole number?", "what"),  # who is only a part of a word
        ("Which river has Seoul?", "which"),
        ("Why?", "why"),
        ("Name the capital.", OTHER),
        ("", OTHER),
        ("한글은 누가 만들었나요?", "who"),
        ("한글은 언제 만들어졌나?", "when"),
        ("수도는 어디인가요?", "where"),
        ("몇 명이 살고 있나?", "how many"),
        ("이것은 무엇인가?", "what"),
        ("왜 그런가요?", "why"),
        ("누구나 쉽게 익힐 수 있는 것은 무엇인가?", "what"),  # whoever, and not who
        ("언제나 열려 있는 곳은 어디인가?", "where"),
        ("몇몇 함수는 무엇을 돌려주는가?", "what"),
        ("왜구는 그 섬에 살았다", OTHER),
    ],
)
def test_a_question_is_of_the_kind_of_the_word_it_asks_with(question: str, kind: str) -> None:
    assert kind_of(question) == kind
