"""Running text to paragraphs and sentences, as slices of it; Korean and English."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from core.data.spans import Span

_GAP = re.compile(r"\n[^\S\n]*\n\s*")
_WORDS = re.compile(r"\S+")
_LAST_OF_KOREAN = "다요죠까"
_CLOSERS = "\"'”’)\\]}」』》〉】］）"
# What may end a sentence: before a blank, or where East Asian text has none.
# Nothing is tried again from the middle of a run: a file of full stops costs no more than another.
_STOP = re.compile(
    rf"(?<![.!?…])[.!?…]++[{_CLOSERS}]*+(?=\s)|[。！？]+[{_CLOSERS}]*|(?<=[{_LAST_OF_KOREAN}])\.(?=[가-힣])"
)
_OPENERS = "\"'“‘([{「『《〈【"
_MARKER = re.compile(r"(?:[-–—*+•·▪◦‣○●■□※]|\(?\d{1,3}[.)]|\(?[A-Za-z가-하][.)]|[①-⑳])\s")
_ABBREVIATIONS = frozenset(
    """
    mr mrs ms dr prof st sr jr vs etc cf al fig figs no nos vol pp p ed eds inc ltd co corp dept
    gen col sgt capt lt rev hon gov sen rep pres mt ft jan feb mar apr jun jul aug sep sept oct nov
    dec approx ca e.g i.e a.m p.m u.s u.k u.n d.c ph.d b.c a.d
    """.split()  # noqa: SIM905 (a list of so many is harder to read)
)
_LONGEST_ABBREVIATION = 8
_SHORT_LINE = 0.6  # of the longest of its paragraph: what is shorter was not broken for its length


def paragraphs(text: str) -> Iterator[Span]:
    """Yield what empty lines divide, without the blanks around it."""
    start = 0
    for gap in _GAP.finditer(text):
        yield from trimmed(text, start, gap.start())
        start = gap.end()
    yield from trimmed(text, start, len(text))


def sentences(text: str, within: Span) -> Iterator[Span]:
    """Yield the sentences of a paragraph; together they have all of it but blanks.

    A line break ends one where a list goes on, or where the line was too short to be broken for
    its length.
    """
    start = within.start
    for border in _borders(text, within):
        yield from trimmed(text, start, border)
        start = border
    yield from trimmed(text, start, within.end)


def all_sentences(text: str) -> Iterator[Span]:
    """Yield the sentences of all paragraphs."""
    for paragraph in paragraphs(text):
        yield from sentences(text, paragraph)


def containing(spans: Sequence[Span], start: int, end: int) -> Span | None:
    """Return the first of ``spans``, which are in order, that has all of a slice in it."""
    ends = bisect_left(spans, end, key=lambda span: span.end)
    found = spans[ends] if ends < len(spans) else None
    return found if found is not None and found.start <= start else None


def trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the slice without the blanks around it, unless it has nothing else."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield Span(start, end)


def _borders(text: str, within: Span) -> list[int]:
    stops = [
        stop.end()
        for stop in _STOP.finditer(text, within.start, within.end)
        if stop.end() < within.end and _is_end(text, stop.start(), stop.end(), within)
    ]
    return sorted({*stops, *_line_borders(text, within)})


def _line_borders(text: str, within: Span) -> Iterator[int]:
    """Yield where a line break of the paragraph ends a sentence."""
    lines = within.of(text).split("\n")
    if len(lines) == 1:
        return
    longest = max(map(len, lines))
    place = within.start
    for line, following in pairwise(lines):
        place += len(line) + 1
        if len(line) < _SHORT_LINE * longest or _MARKER.match(following.lstrip(" \t")):
            yield place - 1


def _is_end(text: str, start: int, end: int, within: Span) -> bool:
    """Say whether what may end a sentence does."""
    if not text[end].isspace():  # East Asian text, which goes on without one
        return True
    following = _first_after(text, end, within.end)
    if text[start - 1] in _LAST_OF_KOREAN and text[start + 1] not in ".!?…":
        return True  # a small letter begins a name then, as of a function
    if following.islower() or text[start] != "." or end - start > 1:
        return not following.islower()
    word = _word_before(text, start, within.start)
    if _stands_first(text, start - len(word), within.start) and (len(word) == 1 or word.isdigit()):
        return False  # it numbers an item of a list
    if word.isdigit():
        return not following.isdigit()  # as dates are written: 2019. 3. 1.
    initial = len(word) == 1 and word.isupper()
    return not initial and word.lower() not in _ABBREVIATIONS


def _first_after(text: str, start: int, end: int) -> str:
    """Return the next character that is neither blank nor opens something; few are looked at."""
    for place in range(start, min(start + 16, end)):
        if not text[place].isspace() and text[place] not in _OPENERS:
            return text[place]
    return ""


def _word_before(text: str, end: int, floor: int) -> str:
    """Return the end of the word before a full stop, as much of it as could be known."""
    start = end
    lowest = max(floor, end - _LONGEST_ABBREVIATION - 1)
    while start > lowest and not text[start - 1].isspace() and text[start - 1] not in _OPENERS:
        start -= 1
    return text[start:end]


def _stands_first(text: str, start: int, floor: int) -> bool:
    """Say whether nothing stands before ``start`` on its line."""
    while start > floor and text[start - 1] in " \t([":
        start -= 1
    return start == floor or text[start - 1] == "\n"
