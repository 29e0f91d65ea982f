import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.decoding.rescoring import log_probs_of, without_the_generic
from core.decoding.search import search
from core.specs import DecodeSpec
from core.text.tokenizer import UNK
from tests.core.decoding.tables import Table, random_table

CPU = torch.device("cpu")
WIDE = DecodeSpec(beam_size=4, n_best=4, max_tokens=5)


def rows(*sources: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.tensor([[one] for one in sources])
    return source, torch.ones_like(source, dtype=torch.bool)


@given(seed=st.integers(0, 1000))
def test_what_a_search_found_is_as_likely_when_it_is_only_read(seed: int) -> None:
    table, asked = random_table(3, 4, seed), rows(0, 1, 2)
    for found in zip(*search(table, *asked, specs=[WIDE] * 3), strict=True):
        read = log_probs_of(table, *asked, found)
        assert read == pytest.approx([one.log_prob for one in found], abs=1e-5)


def test_without_a_weight_nothing_is_ranked_anew() -> None:
    table = random_table(3, 4, seed=1)
    found = search(table, *rows(0, 1), specs=[WIDE] * 2)
    assert without_the_generic(table, found, [WIDE] * 2, device=CPU) == found


def test_what_would_be_said_to_anybody_loses() -> None:
    """Two answers of one word: 5 suits everybody, 6 this source alone."""
    log_probs = torch.full((2, 7, 7), -20.0)
    log_probs[:, 5:, 3] = 0.0  # then the end
    log_probs[0, 2, 5], log_probs[0, 2, 6] = -0.6, -0.8
    log_probs[UNK, 2, 5], log_probs[UNK, 2, 6] = -0.1, -5.0
    table, spec = Table(log_probs), DecodeSpec(beam_size=2, n_best=2)
    found = search(table, *rows(0), specs=[spec])
    assert [one.tokens for one in found[0]] == [(5,), (6,)]
    asked = spec.model_copy(update={"anti_generic": 0.5})
    (ranked,) = without_the_generic(table, found, [asked], device=CPU)
    assert [one.tokens for one in ranked] == [(6,), (5,)]
    assert ranked[0].score == pytest.approx((-0.8 - 0.5 * -5.0) / 2)  # over the word and its end


@given(seed=st.integers(0, 1000))
def test_rows_are_ranked_in_company_as_they_are_alone(seed: int) -> None:
    table = random_table(3, 4, seed)
    specs = [WIDE.model_copy(update={"anti_generic": weight}) for weight in (0.0, 0.3, 1.0)]
    found = search(table, *rows(0, 1, 2), specs=specs)
    together = without_the_generic(table, found, specs, device=CPU)
    for row, spec in enumerate(specs):
        (alone,) = without_the_generic(table, found[row : row + 1], [spec], device=CPU)
        assert [one.tokens for one in alone] == [one.tokens for one in together[row]]


def test_words_beyond_the_vocabulary_are_unknown_to_another_source() -> None:
    table = random_table(2, 3, seed=0)
    (found,) = search(table, *rows(0), specs=[DecodeSpec(beam_size=1)])
    copied = found[0].__class__((99,), -1.0, -1.0, ended=True)
    unknown = found[0].__class__((UNK,), -1.0, -1.0, ended=True)
    assert log_probs_of(table, *rows(0), [copied]) == log_probs_of(table, *rows(0), [unknown])
