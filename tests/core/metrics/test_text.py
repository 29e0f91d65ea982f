import pytest

from core.metrics.text import corpus_scores, signatures, variety


def test_equal_texts_score_full_marks_and_foreign_ones_none() -> None:
    same = corpus_scores(
        ["the cat sat on the mat", "안녕하세요 반갑습니다 또 만나요 우리"] * 2,
        ["the cat sat on the mat", "안녕하세요 반갑습니다 또 만나요 우리"] * 2,
    )
    assert same == pytest.approx({"bleu": 100.0, "chrf": 100.0, "exact_match": 1.0})
    other = corpus_scores(["가나다라마바사"], ["the cat sat on the mat"])
    assert other["chrf"] == 0
    assert other["exact_match"] == 0


def test_variety_tells_a_bot_that_repeats_itself_from_one_that_does_not() -> None:
    dull = variety(["i do not know"] * 20)
    lively = variety([f"answer {i} to question {i * 7}" for i in range(20)])
    assert dull["top_10_share"] == 1.0
    assert lively["top_10_share"] == 0.5
    assert dull["distinct_2"] < lively["distinct_2"]


def test_scores_say_how_they_were_computed() -> None:
    told = signatures(["a b"], ["a c"])
    assert "tok:13a" in told["bleu"]
    assert "version:" in told["chrf"]
