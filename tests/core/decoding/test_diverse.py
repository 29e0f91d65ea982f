import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decoding.step import Wish
from core.specs import DecodeSpec
from core.text.tokenizer import BOS, EOS
from tests.core.decoding.driving import alone
from tests.core.decoding.tables import Table, random_table


def diverse(groups: int, diversity: float, *, width: int = 1, longest: int = 8) -> Wish:
    size = groups * width
    spec = DecodeSpec(
        beam_size=size,
        n_best=size,
        beam_groups=groups,
        diversity=diversity,
        max_tokens=longest,
    )
    return Wish(spec=spec)


def greedily(table: Table, groups: int, diversity: float, longest: int) -> set[tuple[int, ...]]:
    """What groups of one hypothesis say, step by step, as the paper's algorithm 1 has it."""
    said: list[list[int]] = [[] for _ in range(groups)]
    for _ in range(longest):
        chosen: list[int] = []
        for words in said:
            if words[-1:] == [EOS]:
                continue
            scores = table.log_probs[0, words[-1] if words else BOS].double().clone()
            scores[[0, BOS, 4]] = -torch.inf  # the signs
            for word in chosen:
                scores[word] -= diversity
            words.append(int(scores.argmax()))
            if words[-1] != EOS:
                chosen.append(words[-1])
    return {tuple(word for word in words if word != EOS) for words in said}


@given(
    seed=st.integers(0, 10_000),
    groups=st.integers(2, 6),
    diversity=st.sampled_from([0.1, 0.5, 1.0, 3.0]),
    longest=st.integers(1, 8),
)
@settings(max_examples=60, deadline=None)
def test_groups_of_one_do_as_the_paper_says(seed, groups, diversity, longest) -> None:
    table = random_table(1, 8, seed)
    found = alone(table, diverse(groups, diversity, longest=longest))
    assert {one.tokens for one in found} == greedily(table, groups, diversity, longest)


@given(seed=st.integers(0, 10_000), width=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_log_probabilities_stay_those_of_the_model(seed: int, width: int) -> None:
    table = random_table(1, 8, seed)
    for one in alone(table, diverse(3, 1.5, width=width)):
        path = [BOS, *one.tokens, *([EOS] if one.ended else [])]
        expected = table.log_probs[0, path[:-1], path[1:]]
        assert one.token_log_probs == pytest.approx(expected.tolist(), abs=1e-5)


@given(seed=st.integers(0, 10_000), width=st.integers(1, 4), groups=st.integers(2, 4))
@settings(max_examples=40, deadline=None)
def test_the_first_group_is_a_beam_by_itself(seed: int, width: int, groups: int) -> None:
    table = random_table(1, 8, seed)
    spec = DecodeSpec(beam_size=width, n_best=width, max_tokens=8)
    expected = alone(table, Wish(spec=spec))
    found = alone(table, diverse(groups, 2.0, width=width))
    kept = {one.tokens for one in found}
    assert all(one.tokens in kept or one.score <= found[-1].score for one in expected)
    assert len(kept) == len(found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_groups_say_more_different_words_than_one_beam() -> None:
    words = {"together": 0, "apart": 0}
    for seed in range(20):
        table = random_table(1, 20, seed)
        one = DecodeSpec(beam_size=6, n_best=6, max_tokens=8)
        for name, wish in (("together", Wish(spec=one)), ("apart", diverse(6, 2.0))):
            words[name] += len({word for found in alone(table, wish) for word in found.tokens})
    assert words["apart"] > 1.2 * words["together"]
