"""Words and marks: text cut where a reader would cut it, not only where its spaces are."""

import re
import unicodedata

_TOKEN = re.compile(
    r"(?:[^\W\d_]\.){2,}"  # U.S.
    r"|['\u2019]s\b"  # the s of an owner
    r"|\w+(?:(?:[-'\u2019](?!s\b)|(?<=\d)[.,:](?=\d))\w+)*"  # well-known, don't, 1,000
    r"|\S"
)
_JOINER = "\u200d"  # keeps the parts of one emoji together
_CLOSING = frozenset(".,;:?!%)]}…。、？！」』”’") | {"'s", "\u2019s"}


def words_of(text: str) -> list[tuple[int, int]]:
    """Return where each word and each mark of ``text`` stands: start, end.

    Marks that belong to the letter before them, as vowel signs do, stay with it.
    """
    found: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        if found and found[-1][1] == start and _goes_on(text, start):
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def borders_of(text: str) -> set[int]:
    """Return where a part of ``text`` may begin or end that is to be whole words.

    Scripts without case hang particles on words, or write no spaces at all: there it may be
    between any two characters of a word.
    """
    found = set[int]()
    for start, end in words_of(text):
        found |= {start, end}
        found |= {place for place in range(start + 1, end) if _is_uncased(text, place)}
    return found


def is_closing(word: str) -> bool:
    """Return whether ``word`` is a mark that is written without a space before it."""
    return word in _CLOSING


def _goes_on(text: str, place: int) -> bool:
    """Return whether what begins at ``place`` belongs to the character before it."""
    before, here = text[place - 1], text[place]
    if _JOINER in (before, here) or _is_mark(here) or unicodedata.category(here) == "Sk":
        return True
    return _is_mark(before) and (here.isalnum() or here == "_")


def _is_uncased(text: str, place: int) -> bool:
    """Return whether ``place`` is before or behind a letter without case, and parts none."""
    beside = {unicodedata.category(char) for char in text[place - 1 : place + 1]}
    return "Lo" in beside and not _goes_on(text, place)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M"
