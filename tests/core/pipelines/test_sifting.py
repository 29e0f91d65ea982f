"""Which questions are kept."""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.data.kinds import kind_of
from core.data.spans import Span
from core.pipelines.sifting import Candidate, says_a_word_twice, sift, tells_its_answer
from core.specs import GenerateSpec

LOOSE = GenerateSpec(round_trip=0.0, fluency=None, alike=1.0, per_passage=64, per_kind=1.0)


def candidate(question: str = "Who lives there?", **more: Any) -> Candidate:
    told = {"passage": 0, "span": Span(0, 5), "answer": "Dooly", "rank": 0, "unknown": 0}
    scores = {"proposal": -1.0, "score": -0.5, "log_prob": -3.0, "round_trip": 1.0, "reading": -0.1}
    return Candidate(question=question, **{**told, **scores, **more})


def test_what_is_wrong_by_itself_is_dropped_and_counted_by_the_reason() -> None:
    bad = {
        "empty": candidate("?!"),
        "unknown words": candidate("Who is <unk>?", unknown=1),
        "tells its answer": candidate("Where does DOOLY live?"),
        "not found again": candidate(round_trip=0.4),
        "not fluent": candidate(score=-2.0),
        "says a word twice": candidate("What is the water of the Water?"),
    }
    spec = GenerateSpec(round_trip=0.5, fluency=-1.5)
    sifted = sift([*bad.values(), candidate()], spec)
    assert [one.question for one in sifted.kept] == ["Who lives there?"]
    assert sifted.dropped == dict.fromkeys(bad, 1)


def test_of_questions_that_are_alike_the_better_one_is_kept() -> None:
    worse = candidate("Who lives over there?", round_trip=0.6, span=Span(0, 2))
    better = candidate("Who lives over there", round_trip=0.9, span=Span(7, 9))
    sifted = sift([worse, better], LOOSE)
    assert sifted.kept == [better]
    assert sifted.dropped == {"alike": 1}


def test_a_passage_and_a_kind_have_a_quota() -> None:
    many = [
        candidate(f"{word} {number * 7919}?", passage=number % 2, span=Span(number, number + 1))
        for number, word in enumerate(["Who is", "When was", "Where is", "Who was"] * 3)
    ]
    spec = LOOSE.model_copy(update={"per_passage": 4, "per_kind": 0.25})
    kept = sift(many, spec).kept
    for passage in (0, 1):
        assert sum(one.passage == passage for one in kept) <= 4
    kinds = [kind_of(one.question) for one in kept]
    assert max(kinds.count(kind) for kind in kinds) <= 3
    assert [one.span.start for one in kept] == sorted(one.span.start for one in kept)


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 1), st.floats(-3, 0)), max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_candidates_come_decides_nothing(
    made: list[tuple[str, float, float]], chance: random.Random
) -> None:
    some = [
        candidate(f"Who {word * 5}?", round_trip=found, score=score, span=Span(place, place + 1))
        for place, (word, found, score) in enumerate(made)
    ]
    mixed = chance.sample(some, len(some))
    spec = GenerateSpec(round_trip=0.3, fluency=-2.0, per_passage=2)
    assert sift(mixed, spec).kept == sift(some, spec).kept


def test_a_question_tells_its_answer_whatever_its_case_and_punctuation() -> None:
    assert tells_its_answer("What did the U.S. army do?", "u.s. Army")
    assert tells_its_answer("세종은 무엇을 했나?", "세종")
    assert not tells_its_answer("Who won?", "?!")
    assert tells_its_answer("인터프리터는 무엇인가?", "인터프리터를")
    assert not tells_its_answer("누가 평균을 구했는가?", "평가")  # no particle can be known here
    assert not tells_its_answer("Who won in 1981?", "1980")


def test_small_words_may_be_said_twice() -> None:
    assert says_a_word_twice("What is the journey of the Journey?")
    assert says_a_word_twice("한글날은 무엇이고 한글날은 언제인가?")
    assert not says_a_word_twice("Who is the head of the man?")
    question = candidate("What is the water of the water?")
    assert sift([question], LOOSE).dropped == {"says a word twice": 1}
    assert sift([question], LOOSE.model_copy(update={"repeats": True})).kept == [question]


def test_of_equally_found_questions_the_more_certain_ones_are_kept() -> None:
    sure = candidate("Who is it?", score=-0.6, reading=-0.1, span=Span(5, 9))
    likely = candidate("Where was that?", score=-0.5, reading=-3.0, span=Span(0, 2))
    spec = LOOSE.model_copy(update={"per_passage": 1})
    assert sift([likely, sure], spec).kept == [sure]
