"""Tokens that know where they stand: from the characters of a document to tokens, and back."""

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from core.text.clean import normalise
from core.text.tokenizer import UNK, Tokenizer

_JAMO = range(0x1160, 0x1200)  # vowels and finals, which join the consonant before them


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """The tokens of a text. Offsets count characters of the text as it was given.

    Tokens stand one behind the other; several of one character (its bytes) stand at one place, as
    does the space that is put before a text with what follows it.
    """

    spelled: tuple[tuple[int, str], ...]  # each id, and beside an UNK what it stands for
    starts: tuple[int, ...]
    ends: tuple[int, ...]  # of each the place behind it

    def __len__(self) -> int:
        return len(self.spelled)

    def tokens(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the first and the last token of what stands from ``start`` to ``end``.

        They are as few as cover all of it that is in tokens; None where no token is.
        """
        first = bisect_right(self.ends, start)
        last = bisect_left(self.starts, end) - 1
        return (first, last) if first <= last else None

    def characters(self, first: int, last: int) -> tuple[int, int]:
        """Return where the tokens from ``first`` to ``last`` stand: start, end."""
        return self.starts[first], self.ends[last]


def locate(text: str, tokenizer: Tokenizer) -> Located:
    """Return the tokens of ``text``, as ``tokenizer.spell`` makes them, and where they stand.

    A space before a token belongs to none. Where ``text`` is not in its normal form, what becomes
    one character there is never parted.
    """
    clean, origins = _aligned(text, lower_case=tokenizer.spec.lower_case)
    bytes_of = [len(char.encode()) for char in clean]
    after = list(accumulate(bytes_of))  # of each character the byte behind it
    plain = clean.encode()
    spelled = tuple(tokenizer.spell(text))
    by_words = tokenizer.spec.kind == "word"
    cursor = -len(tokenizer.lead)  # in bytes
    starts, ends = [], []
    before = 0  # tokens of nothing but the space that is put before a text
    for id_, word in spelled:
        said = word.encode() if id_ == UNK else tokenizer.spelling(id_)
        if by_words:
            said = said.strip()
            cursor = plain.index(said, max(cursor, 0))  # only spaces are between
        if cursor + len(said) <= 0:
            cursor, before = cursor + len(said), before + 1
            continue
        first, last = max(cursor, 0), max(cursor + len(said) - 1, 0)
        cursor += len(said)
        begin, end = bisect_right(after, first), bisect_right(after, last) + 1
        while begin < end - 1 and clean[begin] == " ":
            begin += 1
        starts.append(origins[begin][0])
        ends.append(origins[end - 1][1])
    starts, ends = starts[:1] * before + starts, ends[:1] * before + ends
    return Located(spelled=spelled, starts=tuple(starts), ends=tuple(ends))


def _aligned(text: str, *, lower_case: bool) -> tuple[str, Sequence[tuple[int, int]]]:
    """Return ``text`` as tokenizers see it, and from where to where each character was in it."""
    clean = normalise(text, lower_case=lower_case)
    if len(clean) == len(text) and clean == (text.lower() if lower_case else text):
        return clean, [(place, place + 1) for place in range(len(text))]
    lowered, places = text, list(range(len(text)))
    if lower_case:
        lowered = text.lower()
        places = [place for place, char in enumerate(text) for _ in char.lower()]
    origins: list[tuple[int, int]] = []
    for start, end in _clusters(lowered):
        made = normalise(lowered[start:end])
        if len(made) == end - start:
            origins += [(places[one], places[one] + 1) for one in range(start, end)]
        else:
            origins += [(places[start], places[end - 1] + 1)] * len(made)
    return clean, origins


def _clusters(text: str) -> list[tuple[int, int]]:
    """Cut ``text`` where no normal form can join what is before with what is after."""
    cuts = [place for place, char in enumerate(text) if not place or not _joins(char)]
    return list(zip(cuts, [*cuts[1:], len(text)], strict=True))


def _joins(char: str) -> bool:
    """Return whether ``char`` may become one with what stands before it."""
    return ord(char) in _JAMO or unicodedata.category(char)[0] == "M"
