from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.decoding.search import search
from core.decoding.step import Wish
from core.specs import DecodeSpec
from core.text.tokenizer import BOS, EOS, UNK
from tests.core.decoding.tables import Table, plainly, random_table

WIDE = DecodeSpec(beam_size=4, n_best=4, max_tokens=5)


def rows(*sources: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.tensor([[one] for one in sources])
    return source, torch.ones_like(source, dtype=torch.bool)


def scoring(*scripts: tuple[int, ...]) -> Wish:
    return Wish(spec=DecodeSpec(beam_size=1), scripts=scripts)


@given(seed=st.integers(0, 1000))
def test_what_a_search_found_is_as_likely_when_it_is_only_read(seed: int) -> None:
    table = random_table(3, 4, seed)
    found = search(table, *rows(0, 1, 2), wishes=plainly([WIDE] * 3))
    wishes = [
        scoring(*((*one.tokens, EOS) if one.ended else one.tokens for one in row)) for row in found
    ]
    for row, read in zip(found, search(table, *rows(0, 1, 2), wishes=wishes), strict=True):
        assert [one.tokens for one in read] == [one.tokens for one in row]
        for one, other in zip(row, read, strict=True):
            assert other.log_prob == pytest.approx(one.log_prob, abs=1e-5)
            assert other.token_log_probs == pytest.approx(one.token_log_probs, abs=1e-5)


def test_what_would_be_said_to_anybody_loses() -> None:
    """Two answers of one word: 5 suits everybody, 6 this source alone."""
    log_probs = torch.full((2, 7, 7), -20.0)
    log_probs[:, 5:, EOS] = 0.0
    log_probs[0, BOS, 5], log_probs[0, BOS, 6] = -0.6, -0.8
    log_probs[UNK, BOS, 5], log_probs[UNK, BOS, 6] = -0.1, -5.0
    table, spec = Table(log_probs), DecodeSpec(beam_size=2, n_best=2, length_penalty=1.0)
    (found,) = search(table, *rows(0), wishes=plainly([spec]))
    assert [one.tokens for one in found] == [(5,), (6,)]
    asked = spec.model_copy(update={"anti_generic": 0.5})
    heard: list[int] = []
    (ranked,) = search(
        table, *rows(0), wishes=plainly([asked]), on_token=lambda _, token: heard.append(token)
    )
    assert [one.tokens for one in ranked] == [(6,), (5,)]
    z = log_probs[0, BOS].logsumexp(0), log_probs[UNK, BOS].logsumexp(0)
    expected = ((-0.8 - z[0]) - 0.5 * (-5.0 - z[1])) / 2  # over the word and its end
    assert ranked[0].score == pytest.approx(float(expected), abs=1e-4)
    assert heard == [6]


def test_the_whole_beam_is_ranked_where_one_answer_is_wanted() -> None:
    log_probs = torch.full((2, 7, 7), -20.0)
    log_probs[:, 5:, EOS] = 0.0
    log_probs[0, BOS, 5], log_probs[0, BOS, 6] = -0.6, -0.8
    log_probs[UNK, BOS, 5], log_probs[UNK, BOS, 6] = -0.1, -5.0
    asked = DecodeSpec(beam_size=2, anti_generic=0.5)
    (ranked,) = search(Table(log_probs), *rows(0), wishes=plainly([asked]))
    assert [one.tokens for one in ranked] == [(6,)]


@given(seed=st.integers(0, 1000))
def test_rows_are_ranked_in_company_as_they_are_alone(seed: int) -> None:
    table = random_table(3, 4, seed)
    specs = [WIDE.model_copy(update={"anti_generic": weight}) for weight in (0.0, 0.3, 1.0)]
    together = search(table, *rows(0, 1, 2), wishes=plainly(specs))
    for row, spec in enumerate(specs):
        (alone,) = search(table, *rows(row), wishes=plainly([spec]))
        assert [one.tokens for one in alone] == [one.tokens for one in together[row]]


def test_words_beyond_the_vocabulary_are_unknown_to_another_source() -> None:
    table = random_table(2, 3, seed=0)
    (read,) = search(table, *rows(0), wishes=[scoring((99, EOS), (UNK, EOS))])
    copied, unknown = (replace(one, tokens=()) for one in read)
    first = table.log_probs[0, BOS, UNK]
    assert copied.token_log_probs[0] == pytest.approx(float(first), abs=1e-5)
    assert copied.token_log_probs[0] == unknown.token_log_probs[0]
