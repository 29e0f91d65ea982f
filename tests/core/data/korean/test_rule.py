"""What the rule asks: examples that can be read, and what is true of all questions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.korean.nouns import Nouns
from core.data.korean.rule import questions_about

NOUNS = Nouns(
    """
    파이썬 인터프리터 함수 객체 이름 서버 파일 사용자 학생 모듈 값 결과 메모리 데이터 문자열 도구
    기차 언어 책 프로그램 연결 오류 선생님 톰 학교 집 목록 인자 형 사전 부분 임금 글자 세종 김장
    """.split()  # noqa: SIM905 (a list of so many is harder to read)
)
WORDS = st.sampled_from(
    """
    파이썬은 함수의 이름을 객체를 서버로 파일에 파일에서 사용자에게 톰이 값이 새로운 이 그 두 개의
    3개를 어제 1443년에 또는 이름과 객체, 만드는 반드시 학교, "사전" (책) None을 무엇을 하고, 없으면
    서버라고
    """.split()  # noqa: SIM905 (as above)
)
ENDS = st.sampled_from(["반환합니다.", "보낸다.", "언어입니다.", "했어.", "보십시오.", "가?", ""])
TEXTS = st.lists(st.builds(lambda words, end: " ".join([*words, end]), st.lists(WORDS), ENDS)).map(
    " ".join
)


def asked(text: str, nouns: Nouns = NOUNS) -> list[tuple[str, str]]:
    return [(one.question, one.answers[0].of(text)) for one in questions_about(text, nouns)]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (
            "파이썬은 모든 사용자에게 인터프리터를 제공합니다.",
            [
                ("무엇이 모든 사용자에게 인터프리터를 제공하는가?", "파이썬"),
                ("파이썬은 모든 사용자에게 무엇을 제공하는가?", "인터프리터"),
            ],
        ),
        (
            "이제 파이썬은 함수의 이름을 결과로 반환합니다.",
            [
                ("이제 무엇이 함수의 이름을 결과로 반환하는가?", "파이썬"),
                ("이제 파이썬은 무엇의 이름을 결과로 반환하는가?", "함수"),
                ("이제 파이썬은 무엇을 결과로 반환하는가?", "함수의 이름"),
            ],
        ),
        (
            "학생은 기차로 학교에 갔다.",
            [
                ("누가 기차로 학교에 갔는가?", "학생"),
                ("학생은 무엇으로 학교에 갔는가?", "기차"),
                ("학생은 기차로 어디에 갔는가?", "학교"),
            ],
        ),
        (
            "프로그램은 데이터를 서버로 보낸다.",
            [
                ("무엇이 데이터를 서버로 보내는가?", "프로그램"),
                ("프로그램은 무엇을 서버로 보내는가?", "데이터"),
                ("프로그램은 데이터를 어디로 보내는가?", "서버"),
            ],
        ),
        (
            "톰은 10월 9일에 학교에서 책을 썼어.",
            [
                ("톰은 언제 학교에서 책을 썼는가?", "10월 9일"),
                ("톰은 10월 9일에 어디에서 책을 썼는가?", "학교"),
            ],
        ),
        (
            "그리고 함수는 반드시 두 개의 인자를 취한다.",
            [
                ("무엇이 반드시 두 개의 인자를 취하는가?", "함수"),
                ("함수는 반드시 몇 개의 인자를 취하는가?", "두 개"),
            ],
        ),
        (
            "파이썬은 프로그램을 만드는 언어입니다.",
            [
                ("파이썬은 무엇인가?", "프로그램을 만드는 언어"),
                ("무엇이 프로그램을 만드는 언어인가?", "파이썬"),
                ("파이썬은 무엇을 만드는 언어인가?", "프로그램"),
            ],
        ),
        (
            "선생님은 이 함수를 도구라고 부른다.",
            [
                ("누가 이 함수를 도구라고 부르는가?", "선생님"),
                ("선생님은 이 함수를 무엇이라고 부르는가?", "도구"),
            ],
        ),
    ],
)
def test_a_statement_is_asked_in_place(text: str, pairs: list[tuple[str, str]]) -> None:
    assert asked(text) == pairs


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("사용자는 이 함수를 서버에서 부른다.", "함수"),  # points at something
        ("사용자는 값을 반환하는 함수를 서버에서 부른다.", "함수"),  # described by a clause
        ("사용자는 이름과 함수를 파일에 저장한다.", "함수"),  # the last of several
        ("사용자는 객체, 함수를 파일에 저장한다.", "함수"),
        ("사용자는 이름 또는 함수를 파일에 저장한다.", "함수"),
        ("사용자는 스무째 함수를 파일에 저장한다.", "함수"),  # who knows what is before it
        ("사용자는 오류가 많은 것을 파일에 저장한다.", "것"),  # says nothing
        ("파이썬은 사용자가 함수를 쓰게 한다.", "파이썬"),  # a topic of another's clause
        ("사용자는 함수의 함수를 파일에 저장한다.", "함수의"),
    ],
)
def test_what_is_no_whole_phrase_is_not_asked_about(text: str, answer: str) -> None:
    found = asked(text)
    assert found
    assert answer not in [one for _, one in found]


@pytest.mark.parametrize(
    "text",
    [
        *("파이썬은 인터프리터를 제공합니다", "파이썬은 사용자에게 무엇을 제공합니까?"),
        *("사용자는 파일에서 함수를 찾으십시오.", "f(x)는 사용자에게 객체를 반환합니다."),
        *("값을 준다.", "그것은 사용자에게 객체를 반환합니다.", "", "\n", "a.b."),
    ],
)
def test_what_is_no_plain_statement_is_not_asked(text: str) -> None:
    assert asked(text) == []


def test_of_two_answers_to_one_question_there_is_none() -> None:
    text = "사용자는 서버로 이름을 보낸다. 사용자는 서버로 객체를 보낸다."
    questions = [question for question, _ in asked(text)]
    assert "사용자는 서버로 무엇을 보내는가?" not in questions
    assert len(questions) == 4


def test_the_last_part_of_a_long_sentence_is_asked_by_itself() -> None:
    text = f"학생은 아침에 {'아주 ' * 20}일찍 일어나고, 선생님은 기차로 학교에 간다."
    assert ("누가 기차로 학교에 가는가?", "선생님") in asked(text)


def test_where_no_noun_is_known_nothing_but_names_and_numbers_is_asked_about() -> None:
    assert asked("학생은 기차로 학교에 갔다.", Nouns([])) == []


@given(TEXTS)
def test_every_answer_is_a_slice_that_its_question_does_not_tell(text: str) -> None:
    found = list(questions_about(text, NOUNS))
    for one in found:
        (span,) = one.answers
        answer = span.of(text)
        assert 0 <= span.start < span.end <= len(text)
        assert answer == answer.strip() != ""
        assert answer not in one.question
        assert one.question.endswith("가?")
        assert "\n" not in one.question
    assert len({one.question for one in found}) == len(found)


@given(TEXTS, st.sampled_from(["\n", "보십시오.\n\n", "함수 객체\n\n", "무엇을 하는가?\n\n" * 3]))
def test_what_stands_before_moves_answers_and_changes_nothing(text: str, before: str) -> None:
    assert asked(before + text) == asked(text)
