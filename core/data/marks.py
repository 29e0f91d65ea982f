"""What a model is told of a token besides its word, in one number with it.

A source is a row of numbers, for training as for decoding; so the mark of an answer travels with
the source of a question, and with it how the token was written.
"""

import unicodedata
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

WORD_BITS = 24  # ids, those of words of one source included; padding is 0 in all of it
TAG_BITS = 2
WORDS = (1 << WORD_BITS) - 1
TAGS = 3  # outside, first and other tokens of an answer
SHAPES = 8
OUTSIDE, FIRST, INSIDE = range(TAGS)

_UNCASED, _LOWER, _TITLE, _UPPER, _NUMBER, _MIXED, _MARK = range(1, SHAPES)


class Marked(NamedTuple):
    """What the numbers of a source say, each (B, S)."""

    words: Tensor
    tags: Tensor
    shapes: Tensor


def unmarked(source: Tensor) -> Marked:
    """Take the numbers of ``source`` (B, S) apart."""
    rest = source >> WORD_BITS
    return Marked(source & WORDS, rest & ((1 << TAG_BITS) - 1), rest >> TAG_BITS)


def with_shape(word: int, text: str) -> int:
    """Return the number of the id ``word``, which stands in a text as ``text``."""
    return word | shape_of(text) << (WORD_BITS + TAG_BITS)


def with_answer(source: NDArray[np.int64], first: int, last: int) -> NDArray[np.int64]:
    """Return ``source`` (S,) with its tokens from ``first`` to ``last`` marked as the answer."""
    marked = source.copy()
    marked[first : last + 1] |= INSIDE << WORD_BITS
    marked[first] ^= (INSIDE ^ FIRST) << WORD_BITS
    return marked


def shape_of(text: str) -> int:
    """Return how ``text`` is written: in which case, in figures, as a mark."""
    plain = text.strip()
    if not any(map(str.isalnum, plain)):
        return _MARK
    if any(map(str.isdigit, plain)):
        return _MIXED if any(map(str.isalpha, plain)) else _NUMBER
    if not any(unicodedata.category(char) in ("Lu", "Ll", "Lt") for char in plain):
        return _UNCASED
    if plain == plain.lower():
        return _LOWER
    return _UPPER if plain == plain.upper() and len(plain) > 1 else _TITLE
