"""Documents to passages: slices that questions are asked about."""

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.data.sentences import paragraphs, sentences
from core.data.spans import Span
from core.specs import PassageSpec

_UNPARTED = 32  # characters that a cut goes back so as not to part a letter from its marks
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")


def passages(text: str, spec: PassageSpec) -> Iterator[Span]:
    """Yield passages in their order, none longer than the spec allows, in linear time.

    A passage is a paragraph, a short one with what follows it, or part of a long one: whole
    sentences, and a part of a sentence only where that is too long by itself. Together they have
    all of the text but blanks. With ``overlap``, parts of a long paragraph repeat sentences.
    """
    for group in _grouped(text, spec):
        if _fits(text, group, spec):
            yield group
        else:
            yield from _windows(text, group, spec)


def around(found: Sequence[Span], start: int, end: int) -> Span:
    """Return the passages that a slice touches, and the slice itself, as one."""
    first = bisect_right(found, start, key=lambda span: span.end)
    last = bisect_left(found, end, key=lambda span: span.start)
    touched = found[first:last]
    return Span(
        min([start, *(span.start for span in touched)]), max([end, *(span.end for span in touched)])
    )


def _grouped(text: str, spec: PassageSpec) -> Iterator[Span]:
    """Yield paragraphs, with short ones put to what follows where both fit."""
    held: Span | None = None
    for paragraph in paragraphs(text):
        group = paragraph if held is None else Span(held.start, paragraph.end)
        if held is not None and not _fits(text, group, spec):
            yield held
            group = paragraph
        held = group if group.end - group.start < spec.min_characters else None
        if held is None:
            yield group
    if held is not None:
        yield held


@dataclass(frozen=True, slots=True)
class _Piece:
    span: Span
    words_before: int  # in its paragraph
    words: int


def _windows(text: str, paragraph: Span, spec: PassageSpec) -> Iterator[Span]:
    """Yield runs of sentences, each as long as fits; each goes on beyond the one before."""
    pieces = list(_pieces(text, paragraph, spec))
    first = last = 0
    while last < len(pieces):
        last += 1
        while last < len(pieces) and _go_together(pieces[first], pieces[last], spec):
            last += 1
        yield Span(pieces[first].span.start, pieces[last - 1].span.end)
        if last == len(pieces):
            return
        first = max(last - spec.overlap, first + 1)
        while first < last and not _go_together(pieces[first], pieces[last], spec):
            first += 1  # so much overlap that nothing new would fit


def _go_together(first: _Piece, last: _Piece, spec: PassageSpec) -> bool:
    if last.span.end - first.span.start > spec.max_characters:
        return False
    words = last.words_before + last.words - first.words_before
    return spec.max_words is None or words <= spec.max_words


def _pieces(text: str, paragraph: Span, spec: PassageSpec) -> Iterator[_Piece]:
    """Yield the sentences of a paragraph, each with its words counted."""
    before = 0
    for sentence in sentences(text, paragraph):
        for span, words in _parts(text, sentence, spec):
            yield _Piece(span, before, words)
            before += words


def _parts(text: str, sentence: Span, spec: PassageSpec) -> Iterator[tuple[Span, int]]:
    """Yield a sentence, or parts of it that fit, cut between words; and how many words."""
    start, end, words = sentence.start, sentence.start, 0
    for word in _words(text, sentence, spec.max_characters):
        too_long = word.end - start > spec.max_characters
        if words and (too_long or words == spec.max_words):
            yield Span(start, end), words
            start, words = word.start, 0
        end, words = word.end, words + 1
    yield Span(start, end), words


def _words(text: str, sentence: Span, longest: int) -> Iterator[Span]:
    """Yield what blanks divide; what is longer than a passage is cut."""
    start: int | None = None
    for place in range(sentence.start, sentence.end):
        if text[place].isspace():
            if start is not None:
                yield Span(start, place)
            start = None
        elif start is None:
            start = place
        elif place - start == longest:
            cut = _cut(text, start, place)
            yield Span(start, cut)
            start = cut
    if start is not None:
        yield Span(start, sentence.end)


def _cut(text: str, start: int, place: int) -> int:
    """Return where to cut before ``place`` without parting a letter from its marks."""
    for cut in range(place, max(start, place - _UNPARTED), -1):
        joined = text[cut] in _JOINERS or text[cut - 1] == "\u200d"
        if not joined and not unicodedata.combining(text[cut]):
            return cut
    return place


def _fits(text: str, span: Span, spec: PassageSpec) -> bool:
    if span.end - span.start > spec.max_characters:
        return False
    return spec.max_words is None or len(span.of(text).split()) <= spec.max_words
