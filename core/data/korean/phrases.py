"""Which parts of a Korean statement can be asked about: nouns with all that belongs to them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.data.korean.lists import (
    ADVERBIAL,
    ATTRIBUTES,
    COUNTERS,
    DEICTIC,
    EMPTY,
    JOINED,
    JOINING,
    MANNERS,
    NUMBERS,
    TIMES,
)
from core.data.korean.nouns import Cut, Nouns
from core.data.spans import Span

_LONGEST = 4  # words of a phrase
_TOLD = 7  # words that may say what something is
_WORD = re.compile(r"\S+")
_EDGES = "\"'“”‘’,"
_COUNTED = re.compile(
    rf"(?<!\S)(?:\d[\d,]*|{'|'.join(NUMBERS)}) ?(?:{'|'.join(COUNTERS)})"
    r"(?=(?:의|이|가|은|는|을|를|로|으로|에|까지)?(?:\s(?!이상|이하|이내)|$))"
)
_DATED = re.compile(r"(?:\d년|\d월|\d일|[월화수목금토일]요일|아침|저녁|오전|오후|밤)에$")
_DATE = re.compile(r"\d[년월일]$")
_IS = re.compile(r"(?:입니|이)다$")
# Ends of words that no noun follows as its own: of clauses, of adverbs, of piled particles.
_ENDINGS = (
    *("면", "고", "서", "며", "아", "어", "여", "해", "게", "록", "만", "데", "지", "히", "때"),
    *("에는", "서는", "로는", "에도", "서도", "로도", "부터", "까지", "처럼", "보다", "마다"),
    *("를", "에", "에서", "에게", "로"),
)
_NO_ANSWER = (
    *("것", "때문", "뿐", "중", "예정", "편", "때", "위함", "경우", "이유", "의미", "뜻", "적"),
)
_CONNECTED = re.compile(r"(?:면|고|서|며|지만|니까|므로|,)$")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A slice of a clause that can be an answer.

    ``role`` is that of its particle (``core.text.particles.FORMS``), or ``count``, ``when``,
    or ``is`` where the clause says that something is this.
    """

    span: Span
    role: str
    end: int  # behind its particle
    stem: str  # its noun


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a clause: what stands between two spaces, marks at its ends left out."""

    span: Span
    text: str
    cut: Cut | None  # as noun and particle
    parted: bool  # from the next one, by a comma

    def has(self, *roles: str) -> bool:
        """Return whether it is a noun with a particle for one of ``roles``."""
        return self.cut is not None and self.cut.role in roles


def phrases(clause: str, nouns: Nouns) -> Iterator[Phrase]:
    """Yield the phrases of ``clause``, which has no full stop."""
    said = _words(clause, nouns)
    yield from _told(clause, said, nouns)
    for place, word in enumerate(said):
        if dated := _date(said, place, nouns):
            yield dated
        elif counted := _COUNTED.match(clause, word.span.start):
            if not place or _ends_before(said[place - 1], nouns):
                yield _counted(counted)
        elif word.cut is not None and not word.has("and") and not word.parted:
            yield from _ended_by(word.cut, said, place, nouns)


def _words(clause: str, nouns: Nouns) -> list[Word]:
    found = []
    for match in _WORD.finditer(clause):
        said = match.group()
        start = match.start() + len(said) - len(said.lstrip(_EDGES))
        text = said.strip(_EDGES)
        span = Span(start, start + len(text))
        found.append(Word(span, text, nouns.cut(text), said.endswith(",")))
    return found


def _ended_by(cut: Cut, said: Sequence[Word], place: int, nouns: Nouns) -> Iterator[Phrase]:
    """Yield the phrase whose noun is ``cut``, the word at ``place``."""
    if not _tells(cut):
        return
    first = _beginning(said, place, nouns)
    if first is None or _topic_of_another(said, place) or _is_quoted_in_part(said, first, place):
        return
    if cut.role == "of" and (place + 1 == len(said) or _is_empty(said[place + 1])):
        return
    span = Span(said[first].span.start, said[place].span.start + len(cut.stem))
    if first < place or len(cut.stem) > 1 or cut.stem.isdigit():
        yield Phrase(span, cut.role, said[place].span.end, cut.stem)


def _is_empty(word: Word) -> bool:
    return (word.cut.stem if word.cut is not None else word.text) in EMPTY


def _tells(cut: Cut) -> bool:
    """Return whether the noun says something by itself."""
    if cut.stem.removesuffix("들") in EMPTY:
        return False
    manner = cut.stem in MANNERS or cut.stem.endswith(("적", "대", "기", "함", "됨"))
    return not (cut.role == "means" and manner)


def _beginning(said: Sequence[Word], place: int, nouns: Nouns) -> int | None:
    """Return the first word of the phrase whose noun is at ``place``.

    None where it would be torn out of something longer: a clause that describes the noun, several
    nouns of which it is the last, or words that point at what was said before.
    """
    first = place
    while first and not said[first - 1].parted and _belongs(said[first - 1], nouns):
        first -= 1
    if place - first >= _LONGEST or said[first].text in DEICTIC:
        return None
    return None if first and not _ends_before(said[first - 1], nouns) else first


def _belongs(word: Word, nouns: Nouns) -> bool:
    """Return whether ``word`` is part of the phrase that the next word belongs to."""
    if word.text in ATTRIBUTES or word.text.endswith("적인"):
        return True
    if word.text in ADVERBIAL | EMPTY | JOINING:
        return False
    if word.cut is not None:
        return word.has("of") and word.cut.stem not in EMPTY
    return word.text in nouns


def _ends_before(before: Word, nouns: Nouns) -> bool:
    """Return whether what ``before`` belongs to ends with it: a clause, or another phrase.

    Words that are not known, as numbers and the first halves of names, do not.
    """
    if before.cut is not None:
        return not before.has("and", "of")
    text = before.text
    if text in DEICTIC | JOINING | EMPTY or text.endswith(JOINED):
        return False
    if before.parted:
        return text not in nouns
    return text in ADVERBIAL or text.endswith(_ENDINGS) or _DATED.search(text) is not None


def _topic_of_another(said: Sequence[Word], place: int) -> bool:
    """Return whether the word is a topic of which something else is the subject."""
    rest = said[place + 1 :]
    return said[place].has("topic") and any(word.has("topic", "subject") for word in rest)


def _is_quoted_in_part(said: Sequence[Word], first: int, place: int) -> bool:
    """Return whether marks stand inside of the phrase."""
    inside = zip(said[first:place], said[first + 1 : place + 1], strict=True)
    return any(after.span.start - before.span.end != 1 for before, after in inside)


def _date(said: Sequence[Word], place: int, nouns: Nouns) -> Phrase | None:
    """Return the time whose last word is at ``place``: 어제, 10월 9일에."""
    last = said[place]
    if not (last.text in TIMES or _DATED.search(last.text)):
        return None
    first = place
    while first and _DATE.search(said[first - 1].text):
        first -= 1
    if first and not _ends_before(said[first - 1], nouns):
        return None
    end = last.span.end
    span = Span(said[first].span.start, end if last.text in TIMES else end - 1)
    return Phrase(span, "when", end, last.text)


def _counted(found: re.Match[str]) -> Phrase:
    """Return a number with what it counts: 두 개, 3개."""
    counter = next(one for one in COUNTERS if found.group().endswith(one))
    return Phrase(Span(*found.span()), "count", found.end(), counter)


def _told(clause: str, said: Sequence[Word], nouns: Nouns) -> Iterator[Phrase]:
    """Yield what the clause says that its topic is, all of it: A는 [B를 하는 C]입니다."""
    is_ = _IS.search(clause)
    topics = [place for place, word in enumerate(said) if word.has("topic")]
    if not is_ or len(topics) != 1 or _beginning(said, topics[0], nouns) != 0:
        return
    told = said[topics[0] + 1 :]
    topic = said[topics[0]].cut
    if topic is None or not _tells(topic) or not 0 < len(told) <= _TOLD:
        return
    span = Span(told[0].span.start, is_.start())
    answer = span.of(clause)
    broken = any(_CONNECTED.search(clause[: word.span.end + 1].rstrip()) for word in told[:-1])
    noun = answer.rpartition(" ")[2]
    if answer and not broken and not answer.endswith(_NO_ANSWER) and noun in nouns:
        yield Phrase(span, "is", len(clause), noun)
