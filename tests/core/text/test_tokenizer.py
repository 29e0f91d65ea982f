import functools
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import BundleError, InputError, SpecError
from core.specs import TokenizerSpec
from core.text import tokenizer as module
from core.text.clean import normalise
from core.text.tokenizer import BOS, EOS, PAD, SEP, SPECIALS, UNK, Tokenizer

THREE_LINES = ("hello world again", "the cat sat on a mat", "안녕하세요 반갑습니다")
KINDS = ("char", "word", "unigram", "bpe")
SUBWORDS = ("unigram", "bpe")
TYPED_SPECIALS = ("<s>", "</s>", "<sep>", "<pad>", "<unk>", "▁", "<0x41>", " ", "  ", "\t", "\n")


@functools.cache
def trained(kind: str, **options: object) -> Tokenizer:
    spec = TokenizerSpec.model_validate({"kind": kind, "vocabulary_size": 400, **options})
    return Tokenizer.train(THREE_LINES, spec)


def texts() -> st.SearchStrategy[str]:
    """Any text, mixed with what a user may type to confuse us."""
    awkward = st.sampled_from([*TYPED_SPECIALS, "안녕", "hello", "👍🏽", "\u1112\u1161"])
    return st.one_of(st.text(), st.lists(st.one_of(awkward, st.text()), max_size=8).map("".join))


@pytest.mark.parametrize("kind", KINDS)
def test_the_specials_have_fixed_ids(kind: str) -> None:
    names = trained(kind).pieces([PAD, UNK, BOS, EOS, SEP])

    assert names == ["<pad>", "<unk>", "<s>", "</s>", "<sep>"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_bytes(kind: str) -> None:
    spec = TokenizerSpec(kind=kind, vocabulary_size=400)

    again = Tokenizer.train(iter(THREE_LINES), spec)

    assert again.model == Tokenizer.train(THREE_LINES, spec).model


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_model_encodes_as_the_trained_one(kind: str) -> None:
    first = trained(kind)
    second = Tokenizer(first.spec, first.model)

    assert second.encode(THREE_LINES[2]) == first.encode(THREE_LINES[2])
    assert second.size == first.size


@pytest.mark.parametrize("kind", SUBWORDS)
@given(text=texts())
@example(text=" ")
@example(text="▁")
@example(text="\ud800")
def test_subwords_lose_nothing(kind: str, text: str) -> None:
    tokenizer = trained(kind)

    assert tokenizer.decode(tokenizer.encode(text)) == normalise(text)


@pytest.mark.parametrize("kind", SUBWORDS)
@given(text=texts())
def test_lower_casing_subwords_lose_only_case(kind: str, text: str) -> None:
    tokenizer = trained(kind, lower_case=True)

    assert tokenizer.decode(tokenizer.encode(text)) == normalise(text.lower())


NOUNS = ("인터프리터", "서버", "함수", "데이터", "문서")
PARTED = [
    f"{one}{first} {other}{second} {end}"
    for one in NOUNS
    for other in NOUNS
    for first in ("를", "의", "에서")
    for second in ("로", "에서", "를")
    for end in ("부릅니다.", "옮깁니다.")
]


def test_words_grow_into_their_particles_where_nothing_parts_them() -> None:
    tokenizer = Tokenizer.train(PARTED, TokenizerSpec(kind="bpe", vocabulary_size=360))
    assert tokenizer.pieces(tokenizer.encode("인터프리터를")) == ["▁인터프리터를"]


@pytest.mark.parametrize("kind", SUBWORDS)
def test_no_piece_has_a_noun_and_a_particle_where_they_are_apart(kind: str) -> None:
    spec = TokenizerSpec(kind=kind, vocabulary_size=360, particles_apart=True)
    tokenizer = Tokenizer.train([*PARTED, "a\x1fb를 c"], spec)
    pieces = tokenizer.pieces(range(tokenizer.size))
    assert not [one for one in pieces if one.endswith(("터를", "서를", "버에서", "수의"))]
    for noun in NOUNS:
        apart = tokenizer.encode(f"{noun}에서")
        assert apart[: len(tokenizer.encode(noun))] == tokenizer.encode(noun)


@given(text=texts())
@example(text="a\x1fb")
def test_subwords_with_particles_apart_lose_nothing(text: str) -> None:
    tokenizer = trained("unigram", particles_apart=True)
    assert tokenizer.decode(tokenizer.encode(text)) == normalise(text)


@pytest.mark.parametrize("kind", ["char", "word", "closed"])
def test_only_subwords_can_have_particles_apart(kind: str) -> None:
    with pytest.raises(ValueError, match="particles_apart"):
        TokenizerSpec(kind=kind, particles_apart=True)


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts())
def test_no_text_becomes_a_special(kind: str, text: str) -> None:
    ids = trained(kind).encode(text)

    assert not set(ids) & {PAD, BOS, EOS, SEP}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("typed", TYPED_SPECIALS)
def test_a_typed_special_stays_text_even_when_trained_on(kind: str, typed: str) -> None:
    spec = TokenizerSpec(kind=kind, vocabulary_size=400)
    tokenizer = Tokenizer.train([*THREE_LINES, typed, f"hello {typed} world"], spec)

    ids = tokenizer.encode(f"{typed}hello {typed} {typed}")

    assert not set(ids) & {PAD, BOS, EOS, SEP}
    if kind in SUBWORDS:
        assert tokenizer.decode(ids) == f"{typed}hello {typed} {typed}"


@pytest.mark.parametrize("kind", ["char", "word"])
def test_known_characters_and_words_come_back(kind: str) -> None:
    tokenizer = trained(kind)

    assert [tokenizer.decode(tokenizer.encode(line)) for line in THREE_LINES] == [*THREE_LINES]


def test_unknown_words_are_skipped_when_read_back() -> None:
    tokenizer = trained("word")

    ids = tokenizer.encode("hello   dear\nworld")

    assert ids.count(UNK) == 1
    assert tokenizer.decode(ids) == "hello world"


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_text_has_no_tokens(kind: str) -> None:
    assert trained(kind).encode("") == []
    assert trained(kind).decode([]) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_skips_specials(kind: str) -> None:
    tokenizer = trained(kind)

    ids = [BOS, *tokenizer.encode("hello world"), EOS, PAD, PAD]

    assert tokenizer.decode(ids) == "hello world"


@pytest.mark.parametrize("kind", KINDS)
def test_turns_are_joined_by_a_separator(kind: str) -> None:
    tokenizer = trained(kind)

    ids = tokenizer.encode_turns(["hello world", "again"])

    assert ids == [*tokenizer.encode("hello world"), SEP, *tokenizer.encode("again")]
    assert tokenizer.encode_turns([]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_is_the_same_piece_wherever_it_stands(kind: str) -> None:
    tokenizer = trained(kind)
    alone = tokenizer.encode("hello")

    within = tokenizer.encode("the hello")

    assert within[-len(alone) :] == alone


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_beyond_the_data_becomes_the_largest_possible(kind: str) -> None:
    large = Tokenizer.train(THREE_LINES, TokenizerSpec(kind=kind, vocabulary_size=64000))

    assert len(SPECIALS) < large.size < 64000


@pytest.mark.parametrize("kind", ["char", "word"])
def test_a_small_vocabulary_keeps_what_is_frequent(kind: str) -> None:
    small = Tokenizer.train(THREE_LINES, TokenizerSpec(kind=kind, vocabulary_size=16))

    assert small.size <= 16


@pytest.mark.parametrize("kind", SUBWORDS)
def test_a_vocabulary_smaller_than_the_alphabet_is_refused_with_advice(kind: str) -> None:
    with pytest.raises(SpecError, match=r"alone are 287\. Raise vocabulary_size") as caught:
        Tokenizer.train(THREE_LINES, TokenizerSpec(kind=kind, vocabulary_size=286))

    assert caught.value.field == "vocabulary_size"
    assert Tokenizer.train(THREE_LINES, TokenizerSpec(kind=kind, vocabulary_size=287)).size <= 287


@pytest.mark.parametrize("kind", SUBWORDS)
def test_without_byte_fallback_the_unseen_is_unknown(kind: str) -> None:
    tokenizer = trained(kind, byte_fallback=False)

    assert UNK in tokenizer.encode("hello 👍")
    assert UNK in tokenizer.encode("hello ▁")
    assert tokenizer.decode(tokenizer.encode("hello world")) == "hello world"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nothing", [[], [""], [" \n", "\t"]])
def test_nothing_to_learn_from_is_an_input_error(kind: str, nothing: list[str]) -> None:
    with pytest.raises(InputError, match="no text"):
        Tokenizer.train(nothing, TokenizerSpec(kind=kind))


@pytest.mark.parametrize("kind", KINDS)
@given(lines=st.lists(texts(), min_size=1, max_size=5))
def test_any_text_can_be_learned_from_or_is_refused_politely(kind: str, lines: list[str]) -> None:
    spec = TokenizerSpec(kind=kind, vocabulary_size=400, character_coverage=1.0)
    try:
        tokenizer = Tokenizer.train(lines, spec)
    except InputError:
        return
    for line in lines:
        tokenizer.decode(tokenizer.encode(line))


@pytest.mark.parametrize("kind", KINDS)
def test_a_very_long_line_without_spaces_can_be_learned_from(kind: str) -> None:
    tokenizer = Tokenizer.train(["ab" * 50_000], TokenizerSpec(kind=kind, vocabulary_size=300))

    assert tokenizer.decode(tokenizer.encode("abab")) in {"abab", ""}


def test_an_error_in_the_source_of_texts_is_not_swallowed() -> None:
    def broken() -> Iterator[str]:
        yield "hello"
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="the disk"):
        Tokenizer.train(broken(), TokenizerSpec())


@pytest.mark.parametrize("damage", [b"", b"abc", bytes(10)])
def test_a_damaged_model_is_refused(damage: bytes) -> None:
    with pytest.raises(BundleError, match="damaged"):
        Tokenizer(TokenizerSpec(), damage)


def test_training_says_nothing_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    Tokenizer.train(THREE_LINES, TokenizerSpec(vocabulary_size=300))

    assert capfd.readouterr() == ("", "")


def test_a_sample_is_whole_below_its_limit_and_spread_above() -> None:
    lines = [str(number) for number in range(1000)]

    assert module._sample(lines, 1000) == lines
    sample = module._sample(lines, 100)
    assert len(set(sample)) == 100
    assert 300 < sum(map(int, sample)) / 100 < 700
