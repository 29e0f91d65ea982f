import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from core.metrics.rouge import (
    Words,
    lead_scores,
    lead_sentences,
    lead_words,
    rouge_scores,
    rouge_signature,
)

words = st.text(st.characters(max_codepoint=127, exclude_characters="_"), max_size=60)


@given(output=words, target=words)
def test_for_ascii_it_is_the_score_of_the_library(output: str, target: str) -> None:
    expected = RougeScorer(["rouge1", "rouge2", "rougeL"]).score(target, output)

    scores = rouge_scores([output], [target])

    assert scores == pytest.approx(
        {
            "rouge_1": 100 * expected["rouge1"].fmeasure,
            "rouge_2": 100 * expected["rouge2"].fmeasure,
            "rouge_l": 100 * expected["rougeL"].fmeasure,
        }
    )


def test_hangul_counts() -> None:
    scores = rouge_scores(["한달동안 메일 온 적"], ["한달동안 학교에서 메일 온 적 있는지"])

    assert scores["rouge_1"] == pytest.approx(100 * 2 * 4 / (4 + 6))
    assert scores["rouge_2"] == pytest.approx(100 * 2 * 2 / (3 + 5))
    assert scores["rouge_l"] == scores["rouge_1"]


def test_words_are_runs_of_letters_marks_and_digits_of_any_script() -> None:
    text = "Don't, \u1112\u1161\u11ab글! GPT-2_x हिन्दी 3.5"

    assert Words().tokenize(text) == ["don", "t", "한글", "gpt", "2", "x", "हिन्दी", "3", "5"]


@given(texts=st.lists(st.text(), min_size=1, max_size=4))
def test_a_text_is_its_own_best_summary(texts: list[str]) -> None:
    scores = rouge_scores(texts, texts)

    full = 100 * sum(bool(Words().tokenize(text)) for text in texts) / len(texts)
    assert scores["rouge_1"] == pytest.approx(full)
    assert scores["rouge_l"] == pytest.approx(full)


def test_nothing_scores_nothing() -> None:
    assert rouge_scores([], []) == {"rouge_1": 0.0, "rouge_2": 0.0, "rouge_l": 0.0}


def test_leads_are_the_beginning_of_the_source() -> None:
    text = " One is 3.5 long. Two? Three! "

    assert lead_sentences(text, 1) == "One is 3.5 long."
    assert lead_sentences(text, 2) == "One is 3.5 long. Two?"
    assert lead_words(text, 3) == "One is 3.5"


def test_baselines_copy_sentence_words_or_all() -> None:
    scores = lead_scores(["a b c. d e f g."], ["a b"])

    assert scores["lead_words"]["rouge_1"] == pytest.approx(100)
    assert scores["lead_sentence"]["rouge_1"] == pytest.approx(100 * 2 * 2 / (3 + 2))
    assert scores["whole"]["rouge_1"] == pytest.approx(100 * 2 * 2 / (7 + 2))


def test_the_signature_names_tokens_and_version() -> None:
    assert "tok:unicode" in rouge_signature()
    assert rouge_signature().split("version:")[1].startswith("rouge-score-0.")
