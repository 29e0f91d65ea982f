import functools
from itertools import groupby

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.specs import TokenizerSpec
from core.text.clean import normalise
from core.text.stream import TextStream
from core.text.tokenizer import SEP, UNK, Tokenizer
from core.text.vocabulary import SourceVocabulary

LINES = ("my name is not known", "what is your name")
KINDS = ("char", "word", "unigram", "bpe")


@functools.cache
def trained(kind: str, *, byte_fallback: bool = False) -> Tokenizer:
    spec = TokenizerSpec.model_validate(
        {"kind": kind, "vocabulary_size": 400, "byte_fallback": byte_fallback}
    )
    return Tokenizer.train(LINES, spec)


def read(kind: str, *turns: str, max_tokens: int = 99) -> SourceVocabulary:
    return SourceVocabulary.of_turns(trained(kind), turns, max_tokens=max_tokens)


def texts() -> st.SearchStrategy[str]:
    awkward = st.sampled_from(["</s>", "<unk>", "<0x41>", "▁", " ", "\n", "name", "Anna", "é"])
    return st.lists(st.one_of(awkward, st.text()), max_size=8).map("".join)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("byte_fallback", [False, True])
@given(text=texts())
@example(text="")
def test_spelled_ids_are_encoded_ids_with_every_unknown_apart(
    kind: str, byte_fallback: bool, text: str
) -> None:
    tokenizer = trained(kind, byte_fallback=byte_fallback)
    if kind == "word":
        text = text.replace("▁", "")  # the model's own space: it would part a word

    ids = [id_ for id_, _ in tokenizer.spell(text)]

    runs = [run for id_, group in groupby(ids) for run in ([UNK] if id_ == UNK else group)]
    encoded = tokenizer.encode(text)
    assert runs == [run for id_, g in groupby(encoded) for run in ([UNK] if id_ == UNK else g)]


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts())
def test_a_source_can_always_be_repeated(kind: str, text: str) -> None:
    vocabulary = read(kind, text, max_tokens=10_000)
    stream = TextStream(vocabulary)

    whole = normalise(text)
    whole = " ".join(whole.split()) if kind == "word" else whole
    assert vocabulary.decode(vocabulary.source) == whole
    assert vocabulary.encode(text) == vocabulary.source
    assert UNK not in vocabulary.source
    assert "".join([*map(stream.push, vocabulary.source), stream.flush()]) == whole


def test_unknown_words_are_numbered_as_they_come_over_all_turns_together() -> None:
    size = trained("word").size
    vocabulary = read("word", "my name is Anna Bell", "is Bell Carl known")

    anna, bell, carl = size, size + 1, size + 2
    my, name, is_, known = trained("word").encode("my name is known")
    assert vocabulary.source == [my, name, is_, anna, bell, SEP, is_, bell, carl, known]
    assert vocabulary.encode("Carl is Dora Eve Anna") == [carl, is_, UNK, UNK, anna]
    assert vocabulary.decode([bell, is_, UNK, carl]) == "Bell is Carl"
    assert vocabulary.pieces([bell, is_, UNK, carl]) == ["Bell", "▁is", "<unk>", "Carl"]


def test_what_was_cut_off_from_the_source_is_not_known() -> None:
    size = trained("word").size
    vocabulary = read("word", "Anna Bell Carl", max_tokens=2)

    assert vocabulary.source == [size, size + 1]
    assert vocabulary.encode("Anna Carl") == [UNK, size + 1]


def test_subwords_that_spell_in_bytes_leave_nothing_outside() -> None:
    tokenizer = trained("unigram", byte_fallback=True)
    vocabulary = SourceVocabulary.of_turns(tokenizer, ["Ζωή ▁"], max_tokens=99)

    assert vocabulary.source == tokenizer.encode("Ζωή ▁")
    assert vocabulary.decode(vocabulary.source) == "Ζωή ▁"


def test_an_answer_is_never_unknown_and_skips_what_it_is_asked_to_skip() -> None:
    size = trained("word").size
    vocabulary = read("word", "my name is Anna Bell")
    name = trained("word").encode("name")

    assert vocabulary.skip_ids([]) == [UNK]
    assert vocabulary.skip_ids(["Bell", "name", "Carl"]) == [UNK, *name, size + 1]
