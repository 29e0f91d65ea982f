"""What is asked for in words becomes ids and bytes, or is refused with the reason."""

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decoding.step import SIGNS, Wish
from core.errors import InputError
from core.pipelines.wishes import stops_of, wish_of
from core.specs import DecodeSpec, TokenizerSpec
from core.text.clean import normalise
from core.text.closed import ClosedVocabulary
from core.text.kinds import TextTokenizer, train_tokenizer
from core.text.stream import cut
from core.text.tokenizer import BOS, EOS, PAD, Tokenizer
from core.text.vocabulary import SourceVocabulary, Vocabulary

LINES = ("my name is not known", "what is your name", "안녕하세요 여러분", "is <unk> known <eos>")
KINDS = ("char", "word", "unigram", "bpe", "closed")
WORDS = ("my", "name", "known", "what", "안녕하세요", "여러분")

sayings = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@functools.cache
def trained(kind: str, *, byte_fallback: bool = True, lower_case: bool = False) -> TextTokenizer:
    spec: dict[str, Any] = {"kind": kind, "vocabulary_size": 420, "byte_fallback": byte_fallback}
    return train_tokenizer(LINES, TokenizerSpec(**spec, lower_case=lower_case))


def wish(vocabulary: Vocabulary, *, end: int | None = EOS, **options: Any) -> Wish:
    never = (PAD,) if isinstance(vocabulary, ClosedVocabulary) else SIGNS
    return wish_of(DecodeSpec(**options), vocabulary, first=BOS, end=end, never=never)


@pytest.mark.parametrize("kind", KINDS)
@given(prefix=sayings, phrases=st.lists(sayings, min_size=1, max_size=3))
def test_ids_say_what_was_asked_wherever_they_stand(kind, prefix, phrases) -> None:
    vocabulary = trained(kind)
    made = wish(vocabulary, end=None, prefix=prefix, required=phrases)
    assert vocabulary.decode(made.prefix) == prefix
    assert len(made.required) == len(set(phrases))
    for ids, phrase in zip(made.required, dict.fromkeys(phrases), strict=True):
        assert vocabulary.decode(ids) == phrase  # at the beginning
        assert phrase in vocabulary.decode((*made.prefix, *ids, *made.prefix))
    assert made.spell(made.prefix[0]) == vocabulary.spelling(made.prefix[0])
    assert made.lead == vocabulary.lead.encode()


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@given(prefix=st.text(max_size=20), phrase=st.text(min_size=1, max_size=9))
def test_with_bytes_to_fall_back_on_everything_can_be_said(kind, prefix, phrase) -> None:
    vocabulary = trained(kind)
    made = wish(vocabulary, prefix=prefix, required=[phrase])
    assert vocabulary.decode(made.prefix) == normalise(prefix)
    assert vocabulary.decode(made.required[0]) == normalise(phrase)


@pytest.mark.parametrize("kind", ["char", "word", "unigram"])
def test_words_of_a_source_keep_their_ids(kind) -> None:
    tokenizer = trained(kind, byte_fallback=False)
    assert isinstance(tokenizer, Tokenizer)
    vocabulary = SourceVocabulary.of_turns(tokenizer, ["is Ζωή known"], max_tokens=99)
    made = wish(vocabulary, prefix="Ζωή is", required=["name Ζωή"])
    assert max(made.prefix) >= tokenizer.size
    assert vocabulary.decode(made.prefix) == "Ζωή is"
    assert vocabulary.decode(made.required[0]) == "name Ζωή"
    with pytest.raises(InputError, match="'Ζωή' cannot be said"):
        wish(tokenizer, prefix="Ζωή")


@pytest.mark.parametrize(
    ("kind", "options", "field", "says"),
    [
        ("word", {"required": ["name", "my zebra"]}, "required", "'my zebra' cannot be said"),
        ("char", {"prefix": "zebra"}, "prefix", "'zebra' cannot be said"),
        ("closed", {"prefix": "my zebra"}, "prefix", "'my zebra' cannot be said"),
        ("word", {"required": [" "]}, "required", "' ' has no word in it"),
        ("word", {"prefix": "my name", "skip": ["name"]}, "prefix", "has '▁name' in it, which is"),
        ("word", {"required": ["my"], "skip": ["my"]}, "required", "has '▁my' in it, which is"),
        ("char", {"required": ["name"], "max_tokens": 3}, "required", "has 4 tokens, max_tokens"),
        ("word", {"stop": ["\ufffd"]}, "stop", "stands for what is no text"),
        ("char", {"banned": ["a\ufffd"]}, "banned", "stands for what is no text"),
        ("unigram", {"skip": ["verylongword"]}, "skip", "is several pieces"),
    ],
)
def test_what_cannot_be_said_is_named(kind, options, field, says) -> None:
    with pytest.raises(InputError, match=f"^decode.{field}: .*{says}") as caught:
        wish(trained(kind), **options)
    assert caught.value.field == f"decode.{field}"


def test_a_word_that_stands_for_the_unknown_is_said_only_by_its_name() -> None:
    vocabulary = trained("closed")
    assert vocabulary.decode(wish(vocabulary, prefix="is <unk>").prefix) == "is <unk>"
    with pytest.raises(InputError, match="does not know all of its words"):
        wish(vocabulary, prefix="is zebra")


def test_the_word_that_ends_a_text_is_not_within_one() -> None:
    vocabulary = trained("closed")
    (end,) = vocabulary.encode("<eos>")
    assert wish(vocabulary, end=end, min_tokens=3).end == end
    with pytest.raises(InputError, match="'<eos>' in it, which is never said within a text"):
        wish(vocabulary, end=end, prefix="known <eos>")


def test_where_nothing_ends_a_text_no_end_can_come_late() -> None:
    with pytest.raises(InputError, match=r"^decode\.min_tokens: nothing but its length ends"):
        wish(trained("closed"), end=None, min_tokens=3)


def test_texts_are_spelled_as_replies_are() -> None:
    made = wish(trained("unigram"), stop=["I\u0307", "여"], banned=["e\u0301"])
    assert made.stop == ("\u0130".encode(), "여".encode())
    assert made.banned == ("\u00e9".encode(),)
    lower = wish(trained("unigram", lower_case=True), stop=["END"], banned=["Bad"])
    assert (lower.stop, lower.banned) == ((b"end",), (b"bad",))
    assert stops_of(lower) == ("end",)
    assert cut("an end", stops_of(lower)) == "an "
    with pytest.raises(InputError, match="'My END' has 'end' in it, which is stop"):
        wish(trained("unigram", lower_case=True), stop=["end"], prefix="My END")


def test_skipped_words_join_what_is_never_said() -> None:
    vocabulary = trained("word")
    assert wish(vocabulary, skip=["name"]).never == (*SIGNS, *vocabulary.encode("name"))
