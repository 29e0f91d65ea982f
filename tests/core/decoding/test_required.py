import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decoding.beams import Beams
from core.decoding.required import Phrases
from core.decoding.step import NEVER, Wish
from core.errors import InputError
from core.specs import DecodeSpec
from core.text.tokenizer import BOS, EOS
from tests.core.decoding.driving import alone, drive, every_sequence
from tests.core.decoding.tables import Table, random_table

phrases = st.lists(
    st.lists(st.integers(5, 9), min_size=1, max_size=4).map(tuple), min_size=1, max_size=4
).map(tuple)


def contains(words: tuple[int, ...], phrase: tuple[int, ...]) -> bool:
    places = range(len(words) - len(phrase) + 1)
    return any(words[place : place + len(phrase)] == phrase for place in places)


def lengths(required: tuple[tuple[int, ...], ...]) -> int:
    return sum(map(len, required))


@given(words=st.lists(st.integers(5, 7), max_size=14), some=phrases)
@settings(max_examples=150, deadline=None)
def test_progress_is_what_a_look_back_would_find(words: list[int], some) -> None:
    wanted = Phrases(some)
    progress = wanted.begin(words)
    for phrase, place in zip(wanted.all, progress, strict=True):
        if place == len(phrase):
            assert contains(tuple(words), phrase)
        else:
            assert not contains(tuple(words), phrase)
            begun = [n for n in range(len(phrase)) if not n or tuple(words[-n:]) == phrase[:n]]
            assert place == max(begun)
    whole = all(contains(tuple(words), phrase) for phrase in some)
    assert whole == (wanted.need(progress) == 0)


@given(words=st.lists(st.integers(5, 7), max_size=10), some=phrases)
@settings(max_examples=100, deadline=None)
def test_there_is_always_a_next_word_that_brings_the_end_nearer(words: list[int], some) -> None:
    wanted = Phrases(some)
    progress = wanted.begin(words)
    while need := wanted.need(progress):
        after = [wanted.after(progress, word) for word in wanted.following(progress)]
        progress = min(after, key=wanted.need)
        assert wanted.need(progress) < need


@given(
    seed=st.integers(0, 10_000),
    required=phrases,
    width=st.integers(2, 8),
    spare=st.integers(0, 6),
    prefix=st.lists(st.integers(5, 9), max_size=2).map(tuple),
    ngram=st.sampled_from([0, 0, 1, 2]),
)
@settings(max_examples=60, deadline=None)
def test_every_hypothesis_contains_every_phrase(
    seed, required, width, spare, prefix, ngram
) -> None:
    """Even if it says nothing else, and even where repeating is forbidden."""
    longest = lengths(required) + len(prefix) + spare
    spec = DecodeSpec(
        beam_size=width,
        n_best=width,
        max_tokens=longest,
        min_tokens=min(2, longest),
        no_repeat_ngram=ngram,
    )
    wish = Wish(spec=spec, required=required, prefix=prefix)
    found = alone(random_table(1, 6, seed), wish)
    assert found
    assert len({one.tokens for one in found}) == len(found)
    for one in found:
        assert one.tokens[: len(prefix)] == prefix
        assert len(one.tokens) <= longest
        assert all(contains(one.tokens, phrase) for phrase in required)


@pytest.mark.parametrize(
    "required", [((5,),), ((5, 6),), ((5, 5),), ((5,), (6,)), ((6, 5), (5, 6))]
)
def test_the_widest_beam_finds_the_best_that_contains_them(required) -> None:
    spec = DecodeSpec().model_copy(
        update={"beam_size": 256, "max_tokens": 5, "length_penalty": 0.0}
    )
    wish = Wish(spec=spec, required=required)
    for seed in range(12):
        table = random_table(1, 2, seed)
        best = next(
            one
            for one in every_sequence(table, wish)
            if all(contains(one.tokens, phrase) for phrase in required)
        )
        (found,) = alone(table, wish)
        assert all(contains(found.tokens, phrase) for phrase in required)
        assert found.log_prob == pytest.approx(best.log_prob, abs=1e-5)


def test_a_narrow_beam_puts_phrases_where_they_fit() -> None:
    """Beside the best of all, which it cannot always find, it loses little."""
    lost = []
    for seed in range(15):
        table = random_table(1, 3, seed)
        spec = DecodeSpec(beam_size=8, max_tokens=5, length_penalty=0.0)
        wish = Wish(spec=spec, required=((5, 6), (6, 7)))
        best = next(
            one
            for one in every_sequence(table, wish)
            if contains(one.tokens, (5, 6)) and contains(one.tokens, (6, 7))
        )
        (found,) = alone(table, wish)
        lost.append(best.log_prob - found.log_prob)
    assert min(lost) > -1e-5
    assert sum(lost) / len(lost) < 0.2


def test_copied_words_beyond_the_vocabulary_can_be_required() -> None:
    """Each source brings other words: ids 9 and 10 of one are nothing to the other."""
    log_probs = random_table(2, 6, seed=7).log_probs  # 11 ids
    log_probs[1, :, 9:] = NEVER
    table = Table(log_probs.log_softmax(-1))
    spec = DecodeSpec(beam_size=4, max_tokens=6)
    asked = {0: Wish(spec=spec, required=((9, 10),)), 1: Wish(spec=spec, required=((9, 12),))}
    found = drive(table, asked).answers
    assert contains(found[0][0].tokens, (9, 10))
    (impossible,) = found[1]
    assert contains(impossible.tokens, (9, 12))  # said all the same, at the price of UNK
    assert impossible.log_prob > NEVER


def test_what_cannot_be_said_is_refused_before_anything_begins() -> None:
    pool = Beams()
    five = DecodeSpec(max_tokens=5)
    for wish, reason in (
        (Wish(spec=five, required=((5, 6, 7), (8, 9, 10))), "6 tokens"),
        (Wish(spec=five, required=((5, 6),), prefix=(7, 7, 7, 7)), "6 tokens"),
        (Wish(spec=five, required=((5, BOS),)), "never said"),
        (Wish(spec=five, required=((5, EOS),)), "never said"),
        (Wish(spec=five, required=((5, 6),), banned=(b"xx",), spell=lambda _: b"x"), "banned"),
        (Wish(spec=five, required=((5, 6),), stop=(b"x",), spell=lambda _: b"x"), "goes on"),
        (Wish(spec=five, required=((5,), (6,)), stop=(b"x",), spell=lambda _: b"x"), "first of"),
        (
            Wish(spec=five, required=((5,),), prefix=(6,), stop=(b"x",), spell=lambda _: b"x"),
            "its p",
        ),
    ):
        with pytest.raises(InputError, match=reason) as refused:
            pool.begin(0, wish, 3)
        assert refused.value.field == "decode.required"
        assert pool.lines == 0


def test_phrases_within_others_and_said_by_the_prefix_need_no_room() -> None:
    spec = DecodeSpec(max_tokens=4)
    required = ((5, 6, 7), (6, 7), (5, 6, 7), (8,))
    for prefix in ((), (5,), (5, 6, 7)):
        wish = Wish(spec=spec, required=required, prefix=prefix)
        (found,) = alone(random_table(1, 6, seed=1), wish)
        assert sorted(found.tokens) == [5, 6, 7, 8]


def test_banned_texts_and_stops_hold_beside_phrases() -> None:
    def spell(id_: int) -> bytes:
        return b"-----abcdef"[id_ : id_ + 1]

    spec = DecodeSpec(beam_size=6, n_best=6, max_tokens=7)
    for seed in range(30):
        wish = Wish(spec=spec, required=((5, 6),), banned=(b"ca", b"bd"), stop=(b"e",), spell=spell)
        for one in alone(random_table(1, 6, seed), wish):
            text = b"".join(map(spell, one.tokens))
            assert b"ab" in text
            assert b"ca" not in text
            assert b"bd" not in text
            assert b"e" not in text[:-1]
