import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BundleError, InputError, SpecError
from core.specs import TokenizerSpec
from core.text.clean import normalise
from core.text.closed import PAD, ClosedVocabulary
from core.text.kinds import open_tokenizer, train_tokenizer
from core.text.stream import TextStream

SPEC = TokenizerSpec(kind="closed", vocabulary_size=64000)
FABLE = ("| the fox and the grapes .", "the fox saw the grapes .")

words = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=8)
texts = st.lists(st.lists(words, min_size=1, max_size=8).map(" ".join), min_size=1, max_size=6)


def test_words_are_numbered_by_how_common_they_are_and_then_as_they_came() -> None:
    vocabulary = ClosedVocabulary.train(FABLE, SPEC)

    assert vocabulary.pieces(range(vocabulary.size)) == [
        *("<pad>", "the", "fox", "grapes", ".", "|", "and", "saw")
    ]
    assert vocabulary.end is None


@given(texts=texts)
def test_what_was_learned_from_comes_back_word_for_word(texts: list[str]) -> None:
    vocabulary = ClosedVocabulary.train(texts, SPEC)

    for text in texts:
        ids = vocabulary.encode(text)
        assert vocabulary.decode([PAD, *ids, PAD]) == " ".join(normalise(text).split())
        assert PAD not in ids
        spelled = b"".join(map(vocabulary.spelling, ids)).decode()
        assert spelled.removeprefix(vocabulary.lead) == vocabulary.decode(ids)
    every_word = {word for text in texts for word in normalise(text).split()}
    assert vocabulary.size == len(every_word) + 1


@given(texts=texts)
def test_a_stored_vocabulary_is_the_same(texts: list[str]) -> None:
    first = train_tokenizer(texts, SPEC)
    second = open_tokenizer(SPEC, first.model)

    assert train_tokenizer(iter(texts), SPEC).model == first.model
    assert second.size == first.size
    assert [second.encode(text) for text in texts] == [first.encode(text) for text in texts]


def test_a_word_that_is_not_known_is_named() -> None:
    vocabulary = ClosedVocabulary.train(FABLE, SPEC)

    with pytest.raises(InputError, match="'wolf'"):
        vocabulary.encode("the wolf and the cat")


def test_a_word_that_is_not_known_is_rare_where_the_texts_say_so() -> None:
    vocabulary = ClosedVocabulary.train(["the <unk> sat <eos>"], SPEC)

    assert vocabulary.decode(vocabulary.encode("the cat sat <eos>")) == "the <unk> sat <eos>"


def test_case_is_lost_only_if_asked_for() -> None:
    lower = SPEC.model_copy(update={"lower_case": True})

    assert ClosedVocabulary.train(["The the"], SPEC).size == 3
    assert ClosedVocabulary.train(["The the"], lower).encode("THE") == [1]


def test_skipped_words_are_found_and_others_are_never_said() -> None:
    vocabulary = ClosedVocabulary.train(["a N <unk> b $"], SPEC)

    found = vocabulary.skip_ids(["<unk>", "N", "$", "<eos>"])

    assert sorted(vocabulary.pieces(found)) == ["$", "<unk>", "N"]


def test_turns_follow_each_other_and_text_streams() -> None:
    vocabulary = ClosedVocabulary.train(FABLE, SPEC)
    ids = vocabulary.encode_turns(["the fox", "saw"])
    stream = TextStream(vocabulary)

    assert vocabulary.decode(ids) == "the fox saw"
    assert "".join([*map(stream.push, ids), stream.flush()]) == "the fox saw"


def test_more_words_than_allowed_are_counted_in_the_error() -> None:
    small = TokenizerSpec(kind="closed", vocabulary_size=16)
    fits = " ".join(map(str, range(15)))

    assert ClosedVocabulary.train([fits], small).size == 16
    with pytest.raises(SpecError, match="17 at least, not 16") as caught:
        ClosedVocabulary.train([f"{fits} more"], small)
    assert caught.value.field == "vocabulary_size"


def test_no_text_is_no_vocabulary() -> None:
    with pytest.raises(InputError, match="no text"):
        ClosedVocabulary.train(["", " \n"], SPEC)


@pytest.mark.parametrize(
    "model",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"format": "other", "words": ["a"]}',
        b'{"format": "malgil-words-1", "words": []}',
        b'{"format": "malgil-words-1", "words": [1]}',
        b'{"format": "malgil-words-1", "words": ["a", "a"]}',
    ],
)
def test_a_damaged_vocabulary_is_refused(model: bytes) -> None:
    with pytest.raises(BundleError):
        open_tokenizer(SPEC, model)
