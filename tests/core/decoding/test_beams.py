import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decoding.beams import Beams
from core.decoding.required import refuse_unsayable
from core.decoding.step import NEVER, SIGNS, Hypothesis, Wish
from core.errors import InputError
from core.specs import DecodeSpec
from core.text.tokenizer import BOS, EOS, UNK
from tests.core.decoding.driving import Staring, alone, drive, every_sequence
from tests.core.decoding.tables import Table, random_table

EVERYTHING = 1024  # more hypotheses than there are sequences


def wide(**wanted: object) -> DecodeSpec:
    """A beam that no spec would allow: it keeps everything."""
    return DecodeSpec().model_copy(update={"beam_size": EVERYTHING, **wanted})


def spelled(id_: int) -> bytes:
    """One letter for each word: 5 is a, 6 is b."""
    return b"-----abcdefghijklmnopqrstuvwxyz"[id_ : id_ + 1]


def text_of(one: Hypothesis) -> bytes:
    return b"".join(map(spelled, one.tokens))


def tokens_of(found: list[Hypothesis]) -> list[tuple[int, ...]]:
    return [one.tokens for one in found]


def scores_of(found: list[Hypothesis]) -> list[float]:
    return [one.score for one in found]


@pytest.mark.parametrize("signs", [SIGNS, (), (BOS,)])
def test_the_widest_beam_finds_the_best_of_all_sequences(signs: tuple[int, ...]) -> None:
    """A vocabulary of 6, and 5 words at the longest."""
    spec = wide(max_tokens=5 if signs == SIGNS else 3, length_penalty=0.0)
    wish = Wish(spec=spec, never=signs)
    for seed in range(100):
        table = random_table(1, 1, seed)
        (found,), best = alone(table, wish), every_sequence(table, wish)
        assert found.tokens == best[0].tokens
        assert found.log_prob == pytest.approx(best[0].log_prob, abs=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
def test_the_widest_beam_can_list_all_sequences_in_their_order(penalty: float) -> None:
    for seed in range(30):
        table = random_table(1, 1 + seed % 3, seed)
        spec = wide(max_tokens=5 - seed % 3, length_penalty=penalty, n_best=EVERYTHING)
        found, best = alone(table, Wish(spec=spec)), every_sequence(table, Wish(spec=spec))
        assert set(tokens_of(found)) == set(tokens_of(best))
        assert scores_of(found) == pytest.approx(scores_of(best), abs=1e-5)


@given(seed=st.integers(0, 10_000), longest=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_a_beam_of_one_takes_the_likeliest_word_each_time(seed: int, longest: int) -> None:
    table = random_table(1, 6, seed)
    table.log_probs[:, :, list(SIGNS)] = NEVER
    words, word = [], BOS
    while len(words) < longest and word != EOS:
        word = int(table.log_probs[0, word].argmax())
        words.append(word)
    (found,) = alone(table, Wish(spec=DecodeSpec(beam_size=1, max_tokens=longest)))
    assert list(found.tokens) + [EOS] * found.ended == words


def can_be_said(wish: Wish) -> bool:
    """Whether the engine would let ``wish`` begin at all."""
    try:
        refuse_unsayable(wish)
    except InputError:
        return False
    return True


wishes = st.builds(
    lambda width, groups, **rest: Wish(
        spec=DecodeSpec(
            beam_size=width * groups,
            n_best=max(1, width * groups // 2),
            beam_groups=groups,
            diversity=0.7 * (groups > 1),
            max_tokens=rest["longest"],
            min_tokens=min(rest["shortest"], rest["longest"]),
            length_penalty=rest["length_penalty"],
            coverage_penalty=rest["coverage"] * (width * groups > 1),
            no_repeat_ngram=rest["ngram"],
            repetition_penalty=rest["repetition"],
            alignments=rest["alignments"],
        ),
        never=(*SIGNS, *rest["never"]),
        prefix=tuple(rest["prefix"]),
        required=rest["required"] if groups == 1 and width > 1 and rest["longest"] > 7 else (),
        banned=tuple(rest["banned"]),
        stop=tuple(rest["stop"]),
        spell=spelled,
    ),
    st.integers(1, 5),
    st.sampled_from([1, 1, 2, 3]),
    longest=st.integers(1, 12),
    shortest=st.integers(0, 3),
    length_penalty=st.sampled_from([0.0, 0.7, 1.0]),
    coverage=st.sampled_from([0.0, 0.0, 0.4]),
    ngram=st.sampled_from([0, 0, 2, 3]),
    repetition=st.sampled_from([1.0, 1.0, 1.3]),
    alignments=st.booleans(),
    never=st.sampled_from([(), (), (8,), (9, 10)]),
    prefix=st.lists(st.integers(5, 7), max_size=3),
    required=st.sampled_from([(), (), ((5, 6),), ((6,), (5, 5))]),
    banned=st.sampled_from([[], [], [b"ad"], [b"dd", b"e"]]),
    stop=st.sampled_from([[], [], [b"c"], [b"ef", b"fd"]]),
).filter(can_be_said)


@given(
    seed=st.integers(0, 1000),
    asked=st.lists(st.tuples(wishes, st.integers(0, 6)), min_size=1, max_size=7),
)
@settings(max_examples=40, deadline=None)
def test_a_request_is_answered_in_company_as_it_is_alone(seed: int, asked) -> None:
    """Whatever it asks for, whenever it joins, and whoever leaves before it has ended."""
    table = Staring(random_table(len(asked), 6, seed).log_probs, seed)
    joining = {key: step for key, (_, step) in enumerate(asked)}
    leaving = {key: joining[key] + 2 for key in joining if (seed + key) % 5 == 0}
    together = drive(
        table, {key: wish for key, (wish, _) in enumerate(asked)}, joining=joining, leaving=leaving
    )
    for key, (wish, _) in enumerate(asked):
        expected = drive(table, {0: wish}, sources={0: key})
        if key in leaving:
            assert key not in together.answers or len(expected.widths) <= 2
            continue
        found = together.answers[key]
        assert found == expected.answers[0]  # also in their scores, to the last bit
        for one, other in zip(found, expected.answers[0], strict=True):
            assert (one.attention is None) == (not wish.spec.alignments)
            np.testing.assert_array_equal(one.attention, other.attention)
        assert together.told.get(key, ()) == expected.told.get(0, ())
        assert found[0].tokens[: len(together.told.get(key, ()))] == together.told.get(key, ())


@given(seed=st.integers(0, 1000), wish=wishes)
@settings(max_examples=60, deadline=None)
def test_an_answer_is_what_was_wished_for(seed: int, wish: Wish) -> None:
    table, spec = Staring(random_table(1, 6, seed).log_probs, seed), wish.spec
    found = alone(table, wish)
    assert 1 <= len(found) <= spec.n_best
    assert len(set(tokens_of(found))) == len(found)
    assert scores_of(found) == sorted(scores_of(found), reverse=True)
    for one in found:
        prefix = wish.prefix[: spec.max_tokens]
        stopped = any(text in text_of(one) for text in wish.stop)
        assert one.tokens[: len(prefix)] == prefix[: len(one.tokens)]
        assert len(one.tokens) >= len(prefix) or stopped
        assert len(one.tokens) <= spec.max_tokens
        assert len(one.tokens) >= spec.min_tokens or stopped
        rest = one.tokens[len(prefix) :]
        assert not set(rest) & {*wish.never, EOS}
        assert one.ended or len(one.tokens) == spec.max_tokens
        assert one.log_prob == pytest.approx(sum(one.token_log_probs), abs=1e-9)
        assert len(one.token_log_probs) == len(one.tokens) + (one.ended and not stopped)
        if spec.alignments:
            assert one.attention.shape == (len(one.tokens), 4)
            expected = table.looks[[wish.first, *one.tokens[:-1]]] if one.tokens else one.attention
            np.testing.assert_array_equal(one.attention, np.asarray(expected))


def test_n_best_lists_are_short_rather_than_padded() -> None:
    """Only two sequences can be said at all."""
    log_probs = torch.full((1, 7, 7), NEVER)
    log_probs[0, :, EOS] = 0.0
    log_probs[0, BOS] = torch.tensor([NEVER] * 5 + [0.7, 0.3]).log().nan_to_num(NEVER)
    log_probs[0, BOS, 5:] = torch.tensor([0.7, 0.3]).log()
    log_probs[0, BOS, EOS] = NEVER
    found = alone(Table(log_probs), Wish(spec=DecodeSpec(beam_size=5, n_best=5)))
    assert tokens_of(found) == [(5,), (6,)]


@pytest.mark.parametrize("seed", range(5))
def test_a_hypothesis_ends_with_a_stop_and_pays_for_no_end(seed: int) -> None:
    table = random_table(1, 4, seed)
    wish = Wish(spec=wide(max_tokens=4, n_best=EVERYTHING), stop=(b"ba",), spell=spelled)
    found = alone(table, wish)
    assert any(text_of(one).endswith(b"ba") for one in found)
    for one in found:
        assert b"ba" not in text_of(one)[:-1]
        path = [BOS, *one.tokens, *([EOS] if b"ba" not in text_of(one) else [])]
        path = path if one.ended else path[: 1 + len(one.tokens)]
        expected = table.log_probs[0, path[:-1], path[1:]].sum().item()
        assert one.log_prob == pytest.approx(expected, abs=1e-5)
        assert one.score == pytest.approx(one.log_prob / (len(path) - 1), abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_the_next_best_take_the_place_of_what_is_banned(seed: int) -> None:
    """As if the model itself could not say it: even where all that was at hand is banned."""
    table = random_table(1, 20, seed)
    banned = tuple(bytes([letter]) for letter in b"abcdefghijklmnop")
    silent = Table(table.log_probs.clone())
    spec = DecodeSpec(beam_size=3, n_best=3, max_tokens=6)
    by_text = alone(table, Wish(spec=spec, banned=banned, spell=spelled))
    by_id = alone(silent, Wish(spec=spec, never=(*SIGNS, *range(5, 21))))
    assert by_text == by_id


@pytest.mark.parametrize("seed", range(5))
def test_coverage_costs_what_was_left_unread(seed: int) -> None:
    table = Staring(random_table(1, 4, seed).log_probs, seed)
    spec = wide(max_tokens=3, n_best=EVERYTHING, coverage_penalty=0.5, alignments=True)
    found = alone(table, Wish(spec=spec))
    assert len(found) == sum(5**length for length in range(4))
    for one in found:
        steps = [BOS, *one.tokens] if one.ended else [BOS, *one.tokens[:-1]]
        read = table.looks[steps].double().sum(0).clamp(max=1.0)
        expected = one.log_prob / max(len(steps), 1) + 0.5 * read.log().sum().item()
        assert one.score == pytest.approx(expected, abs=1e-5)


def test_numbers_that_are_none_end_one_request_and_no_other() -> None:
    table = random_table(3, 6, seed=3)
    asked = {key: Wish(spec=DecodeSpec(min_tokens=5, max_tokens=9)) for key in range(3)}
    found = drive(table, asked, broken={1: 2})
    assert found.answers[1] == []
    for key in (0, 2):
        assert found.answers[key] == alone(table, asked[key], source=key)


def test_where_nothing_may_be_said_the_answer_is_cut_off() -> None:
    table = random_table(1, 3, seed=0)
    for width, stop in ((1, ()), (4, ()), (4, (b"a",))):
        wish = Wish(spec=DecodeSpec(beam_size=width), never=tuple(range(8)), stop=stop)
        assert [(one.tokens, one.ended) for one in alone(table, wish)] == [((), False)]


def test_a_prefix_that_the_model_cannot_say_costs_as_an_unknown_word() -> None:
    log_probs = random_table(1, 4, seed=5).log_probs
    log_probs[0, BOS, 6] = NEVER
    table = Table(torch.cat([log_probs, log_probs[:, :1].expand(-1, 3, -1)], 1))  # 3 more to hear
    spec = DecodeSpec(beam_size=2, max_tokens=4)
    for first in (6, 10):
        found = alone(table, Wish(spec=spec, prefix=(first, 7)))
        assert found[0].tokens[:2] == (first, 7)
        expected = log_probs[0, BOS].log_softmax(-1)[UNK].item()
        assert found[0].token_log_probs[0] == pytest.approx(expected, abs=1e-5)


def test_equals_are_told_apart_by_parent_and_word() -> None:
    """All words are as likely as each other, and so are all sequences of one length."""
    log_probs = torch.full((1, 25, 25), -math.log(25))
    log_probs[0, :, EOS] = -30.0
    wish = Wish(spec=DecodeSpec(beam_size=4, n_best=4, max_tokens=3))
    assert tokens_of(alone(Table(log_probs), wish)) == [(UNK, UNK, word) for word in (UNK, 5, 6, 7)]


def test_without_requests_there_are_no_lines() -> None:
    pool = Beams()
    assert pool.lines == 0
    assert pool.leave([1]) == []
    pool.begin(1, Wish(spec=DecodeSpec()), 3)
    assert pool.lines == 1
    assert pool.leave([2]) == [0]
    assert pool.leave([1]) == []
    assert pool.lines == 0
