import pytest

from core.errors import InputError
from core.specs import TokenizerSpec
from core.text.kinds import TextTokenizer, open_tokenizer, train_tokenizer
from core.text.tokenizer import EOS, UNK

LINES = ("the cat, the N sat on the mat", "a cat , and the cat again", "the mat and the cat")


def trained(kind: str) -> TextTokenizer:
    spec = TokenizerSpec.model_validate({"kind": kind, "vocabulary_size": 400})
    return train_tokenizer(LINES, spec)


@pytest.mark.parametrize("kind", ["char", "word", "unigram", "bpe", "closed"])
def test_every_kind_goes_through_one_door(kind: str) -> None:
    first = trained(kind)
    second = open_tokenizer(first.spec, first.model)
    ids = first.encode(LINES[1])

    assert (second.size, second.end, second.lead) == (first.size, first.end, first.lead)
    assert second.encode(LINES[1]) == ids
    assert second.decode(ids) == LINES[1]
    assert first.end == (None if kind == "closed" else EOS)


def test_a_word_to_skip_is_every_piece_that_says_it() -> None:
    words = trained("word")

    assert words.pieces(words.skip_ids(["cat", "N"])) == ["▁cat", "▁N"]
    assert words.skip_ids(["<unk>"]) == [UNK]
    assert words.skip_ids(["nowhere"]) == []


def test_a_character_to_skip_is_a_piece_of_characters() -> None:
    characters = trained("char")

    assert characters.pieces(characters.skip_ids(["N", "t"])) == ["t", "N"]


def test_a_word_in_several_pieces_cannot_be_skipped() -> None:
    with pytest.raises(InputError, match="'cat' is several pieces"):
        trained("char").skip_ids(["cat"])
