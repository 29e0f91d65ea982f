import pytest

from core.metrics.spans import answer_exact, answer_f1, set_f1, spans_signature
from core.metrics.text import bleu_orders, corpus_scores


def test_an_answer_shares_words_with_the_best_of_those_that_people_gave() -> None:
    assert answer_f1("the Denver Broncos", ["Broncos", "Denver Broncos."]) == 1.0
    assert answer_f1("Denver", ["Denver Broncos"]) == pytest.approx(2 / 3)
    assert answer_f1("Panthers", ["Denver Broncos"]) == 0.0
    assert answer_f1("", ["Denver"]) == 0.0
    assert answer_f1("a a b", ["a b b"]) == pytest.approx(answer_f1("b", ["b b"]))
    assert answer_f1("위키백과는", ["위키백과는"]) == 1.0
    assert answer_f1("x", []) == 0.0


def test_of_korean_words_the_syllables_are_shared() -> None:
    assert answer_f1("세종이", ["세종"]) == pytest.approx(4 / 5)
    assert answer_f1("세종 대왕", ["세종대왕"]) == 1.0
    assert answer_f1("세종", ["태조"]) == 0.0
    assert answer_f1("GIL을", ["GIL"]) == pytest.approx(2 / 3)
    assert not answer_exact("세종이", ["세종"])


def test_neither_case_nor_marks_nor_articles_count() -> None:
    assert answer_exact("The Han!", ["han"])
    assert not answer_exact("Han river", ["han"])


def test_what_was_found_is_counted_over_all_rows() -> None:
    assert set_f1([{1, 2}, set()], [{2, 3}, {4}]) == pytest.approx(2 * 1 / (2 + 3))
    assert set_f1([set()], [set()]) == 0.0
    assert set_f1([{1}], [{1}]) == 1.0


def test_the_last_bleu_is_the_usual_one_and_orders_fall() -> None:
    outputs = ["who won the game in the end ?", "where is it today ?"]
    targets = ["who won the last game ?", "where is it now ?"]
    found = bleu_orders(outputs, targets)

    assert found["bleu_4"] == corpus_scores(outputs, targets)["bleu"]
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_the_signature_names_what_is_compared() -> None:
    assert "articles:no" in spans_signature()["answer_f1"]
