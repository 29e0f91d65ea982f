import math

import pytest

from core.metrics.likelihood import count_words, perplexities, perplexity_signature


def test_an_even_guess_among_ten_has_a_perplexity_of_ten() -> None:
    found = perplexities(6 * math.log(10), tokens=6, words=3)

    assert found["token_perplexity"] == pytest.approx(10)
    assert found["word_perplexity"] == pytest.approx(100)


def test_ends_are_words_where_they_are_predicted() -> None:
    texts = ["the cat  sat", "", "on <unk>"]

    assert count_words(texts, ends=False) == 5
    assert count_words(texts, ends=True) == 8
    assert perplexity_signature(ends=True) != perplexity_signature(ends=False)


def test_a_hopeless_model_still_has_a_finite_perplexity() -> None:
    found = perplexities(1e9, tokens=1, words=1)

    assert all(map(math.isfinite, found.values()))


def test_no_text_is_no_surprise() -> None:
    assert perplexities(0.0, tokens=0, words=0) == {"token_perplexity": 1, "word_perplexity": 1}
