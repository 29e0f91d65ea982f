from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decoding.sampling import draw_coins, sample
from core.decoding.search import search
from core.decoding.step import NEVER, SIGNS
from core.specs import DecodeSpec
from core.text.tokenizer import EOS
from tests.core.decoding.tables import plainly, random_table


def ask(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(rows).unsqueeze(1), torch.ones(rows, 1, dtype=torch.bool)


def sampled(seed: int = 1, temperature: float = 1.0, max_tokens: int = 12) -> DecodeSpec:
    return DecodeSpec(beam_size=1, temperature=temperature, seed=seed, max_tokens=max_tokens)


def drawn(
    logits: torch.Tensor,
    coins: list[float],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> torch.Tensor:
    """Draw from each line of ``logits`` by the same options."""
    count = len(coins)
    return sample(logits, [temperature] * count, [top_k] * count, [top_p] * count, coins)


strategies = st.one_of(
    st.builds(sampled, seed=st.integers(0, 99), temperature=st.floats(0.2, 3.0)),
    st.builds(
        lambda width, longest: DecodeSpec(beam_size=width, n_best=width, max_tokens=longest),
        st.integers(1, 4),
        st.integers(1, 8),
    ),
)


@given(
    seed=st.integers(0, 1000),
    rows=st.lists(st.tuples(strategies, st.sets(st.integers(5, 10))), min_size=1, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_every_strategy_says_in_company_what_it_says_alone(seed, rows) -> None:
    table = random_table(len(rows), 6, seed)
    specs, banned = [spec for spec, _ in rows], [sorted(ids) for _, ids in rows]
    source, mask = ask(len(rows))
    heard: list[list[int]] = [[] for _ in rows]
    together = search(
        table,
        source,
        mask,
        wishes=plainly(specs, banned=banned),
        on_token=lambda row, token: heard[row].append(token),
    )
    for row, spec in enumerate(specs):
        alone = search(
            table, source[[row]], mask[[row]], wishes=plainly([spec], banned=banned[row : row + 1])
        )[0]
        assert [one.tokens for one in together[row]] == [one.tokens for one in alone]
        assert together[row][0].score == pytest.approx(alone[0].score, abs=1e-5)
        assert tuple(heard[row]) == together[row][0].tokens
        for hypothesis in together[row]:
            assert not {*SIGNS, EOS, *banned[row]} & set(hypothesis.tokens)


def test_the_same_seed_says_the_same_and_another_one_something_else() -> None:
    table = random_table(1, 20, seed=4)
    source = torch.zeros(40, 1, dtype=torch.int64)
    mask = torch.ones(40, 1, dtype=torch.bool)
    found = search(table, source, mask, wishes=plainly([sampled(seed) for seed in (7, *range(39))]))
    assert found[0] == found[8]
    assert len({one[0].tokens for one in found}) > 20


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_words_are_said_as_often_as_their_chance_says(temperature: float) -> None:
    logits = torch.tensor([1.0, 0.0, -1.0, NEVER, 2.0])
    count = 20_000
    tokens = drawn(logits.expand(count, -1), draw_coins(3, count).tolist(), temperature)
    expected = (logits / temperature).softmax(-1)
    counted = Counter(tokens.tolist())
    for token, chance in enumerate(expected.tolist()):
        assert counted[token] / count == pytest.approx(chance, abs=0.015)
    assert counted[3] == 0


def test_a_cold_sample_is_the_likeliest_word() -> None:
    table = random_table(4, 9, seed=2)
    source, mask = ask(4)
    cold = search(table, source, mask, wishes=plainly([sampled(temperature=1e-4)] * 4))
    greedy = search(
        table, source, mask, wishes=plainly([DecodeSpec(beam_size=1, max_tokens=12)] * 4)
    )
    assert cold == greedy


def test_the_largest_and_the_smallest_coin_fall_on_words_that_may_be_said() -> None:
    log_probs = torch.tensor([[NEVER, -0.7, -0.7, NEVER]]).expand(2, -1)
    largest = 1.0 - 2.0**-24
    assert drawn(log_probs, [0.0, largest]).tolist() == [1, 2]
    assert drawn(log_probs, [0.0, largest], top_k=3, top_p=0.99).tolist() == [1, 2]


def words_of(logits: torch.Tensor, **options: float) -> set[int]:
    """All that is ever drawn from ``logits`` (V,): there are few words, and every coin is tried."""
    coins = torch.linspace(0, 1 - 2.0**-24, 501, dtype=torch.float64).tolist()
    return set(drawn(logits.expand(len(coins), -1), coins, **options).tolist())


def test_only_the_likeliest_words_are_drawn() -> None:
    logits = torch.tensor([0.5, 0.4, 0.3, 0.2, 0.1]).log()[[3, 0, 2, 4, 1]]
    assert words_of(logits) == {0, 1, 2, 3, 4}
    assert words_of(logits, top_k=1) == {1}
    assert words_of(logits, top_k=3) == {1, 2, 4}
    assert words_of(logits, top_k=9) == {0, 1, 2, 3, 4}


def test_of_equally_likely_words_those_of_lower_ids_are_drawn() -> None:
    logits = torch.tensor([0.0, 1.0, 0.0, 0.0, NEVER])
    assert words_of(logits, top_k=3) == {0, 1, 2}
    assert words_of(logits, top_k=5) == {0, 1, 2, 3}
    assert words_of(torch.zeros(8), top_p=0.5) == {0, 1, 2, 3}
    assert words_of(torch.zeros(8), top_p=0.5001) == {0, 1, 2, 3, 4}


def test_the_fewest_words_that_reach_a_share_are_drawn() -> None:
    chances = torch.tensor([0.1, 0.4, 0.05, 0.25, 0.2])
    logits = chances.double().log() + 7
    assert words_of(logits, top_p=1e-9) == {1}
    assert words_of(logits, top_p=0.64) == {1, 3}
    assert words_of(logits, top_p=0.66) == {1, 3, 4}
    assert words_of(logits, top_p=0.96) == {0, 1, 2, 3, 4}
    assert words_of(logits, top_p=1.0) == {0, 1, 2, 3, 4}
    # what is cut off before makes the others likelier; heat comes before both
    assert words_of(logits, top_p=0.66, top_k=3) == {1, 3}
    assert words_of(logits, top_p=0.7) == {1, 3, 4}
    assert words_of(logits, top_p=0.7, temperature=5.0) == {0, 1, 3, 4}


@given(
    seed=st.integers(0, 1000),
    top_p=st.floats(0.01, 0.999),
    top_k=st.none() | st.integers(1, 400),
    spread=st.sampled_from([0.1, 1.0, 6.0]),
)
@settings(max_examples=60, deadline=None)
def test_the_words_that_count_are_those_that_sorting_finds(seed, top_p, top_k, spread) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(300, generator=generator, dtype=torch.float64) * spread
    chances, order = logits.softmax(-1).sort(descending=True)
    chances = chances[:top_k] / chances[:top_k].sum()
    count = int((chances.cumsum(-1) < top_p).sum()) + 1
    kept = sorted(order[:count].tolist())
    coins = torch.rand(20, generator=generator, dtype=torch.float32).double()
    ends = logits[kept].softmax(-1).cumsum(-1)
    places = torch.searchsorted(ends, coins * ends[-1], right=True)
    found = drawn(logits.expand(20, -1), coins.tolist(), top_k=top_k, top_p=top_p)
    assert found.tolist() == [kept[place] for place in places.tolist()]


def test_a_draw_never_depends_on_its_company() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 500, generator=generator)
    coins = draw_coins(1, 12).tolist()
    heat = [0.5, 1.0, 2.0] * 4
    top_ks, top_ps = [None, 3, 40, 600] * 3, [None, None, None, None, *[0.5, 0.9] * 4]
    together = sample(logits, heat, top_ks, top_ps, coins)
    for line in range(12):
        mine = slice(line, line + 1)
        alone = sample(logits[mine], heat[mine], top_ks[mine], top_ps[mine], coins[mine])
        assert alone.tolist() == together[mine].tolist()


def test_sampling_leaves_the_logits_as_they_were() -> None:
    logits = torch.randn(2, 9, dtype=torch.float64)
    before = logits.clone()
    drawn(logits, [0.1, 0.9], top_k=3, top_p=0.5)
    assert logits.equal(before)


def test_a_row_that_may_say_nothing_ends_without_a_word() -> None:
    table = random_table(1, 3, seed=0)
    source, mask = ask(1)
    everything = [list(range(8))]
    for spec in (DecodeSpec(beam_size=1), DecodeSpec(beam_size=3), sampled()):
        found = search(table, source, mask, wishes=plainly([spec], banned=everything))[0]
        assert [(one.tokens, one.ended) for one in found] == [((), False)]


def test_without_an_end_sign_only_the_length_ends_a_text() -> None:
    table = random_table(2, 6, seed=1)
    source, mask = ask(2)
    for spec in (DecodeSpec(beam_size=1, max_tokens=30), sampled(max_tokens=30)):
        found = search(table, source, mask, wishes=plainly([spec] * 2, end=None, signs=()))
        assert [len(row[0].tokens) for row in found] == [30, 30]
        assert not any(row[0].ended for row in found)
    beam = DecodeSpec(beam_size=2, max_tokens=6)
    assert len(search(table, source, mask, wishes=plainly([beam] * 2, end=None))[0][0].tokens) == 6


def test_the_first_words_are_those_that_were_given() -> None:
    table = random_table(1, 6, seed=1)
    source, mask = torch.zeros(6, 1, dtype=torch.int64), torch.ones(6, 1, dtype=torch.bool)
    firsts = torch.arange(5, 11)
    for spec in (DecodeSpec(beam_size=1), DecodeSpec(beam_size=1, max_tokens=1)):
        found = search(
            table, source, mask, wishes=plainly([spec] * 6, first=firsts.tolist(), signs=())
        )
        likeliest = table.log_probs[0, firsts].argmax(-1).tolist()
        begun = [row[0].tokens[0] if row[0].tokens else EOS for row in found]
        assert begun == likeliest
