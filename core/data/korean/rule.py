"""Questions that a rule makes of Korean statements.

Korean asks in place: what is asked about gives way to a word that asks, and the end of the
statement becomes that of a question. Nothing moves, as it would have to in English::

    학생은 기차로 학교에 갔다.      The pupil went to school by train.
    학생은 기차로 어디에 갔는가?    Where did the pupil go by train?
"""

import re
from collections import Counter
from collections.abc import Iterator

from core.data.examples import AnsweredQuestion
from core.data.korean.endings import asked
from core.data.korean.lists import OPENINGS, PERSONS, PLACES
from core.data.korean.nouns import Nouns
from core.data.korean.phrases import Phrase, phrases
from core.data.sentences import all_sentences
from core.data.spans import Span

_SHORTEST, _LONGEST = 10, 50  # characters of what a question is made of
_LONGEST_ANSWER = 30
_FEWEST = 4  # words of a question, but of what something is
_LINK = re.compile(r"(?:고|며|지만|는데|은데|므로|거나), ")  # two statements in one sentence
_OPENING = re.compile(rf"(?:{'|'.join(OPENINGS)}),? ")
_CODE = r"[_*=%&|\\#@$^~()\[\]{}<>;:/]|\w\.\w"
_ASKS = "무엇|무언|누구|누가|누군|어디|언제|어떻|어느|얼마|왜 "
_POINTS = "이것|그것|다음과 같|이는 |그렇지 않으면"  # elsewhere
_REASONS = "때문|것(?:입니|이)다$"  # of which the end is not asked
_ODD = re.compile("|".join((_CODE, _ASKS, _POINTS, _REASONS)))
_THINGS = {
    "topic": "무엇이",
    "subject": "무엇이",
    "object": "무엇을",
    "name": "무엇이라고",
    "means": "무엇으로",
    "of": "무엇의",
    "at": "무엇에",
    "in": "어디에서",
    "to": "누구에게",
    "is": "무엇인가",
    "when": "언제",
}
_PERSONS = _THINGS | {
    "topic": "누가",
    "subject": "누가",
    "object": "누구를",
    "of": "누구의",
    "at": "누구에게",
    "is": "누구인가",
}
_PLACES = {"at": "어디에", "means": "어디로"}
_FOLLOWED = re.compile(r"\s(?:대|따|의해|의한|관|비|불과|한해|있어)")  # 에 대한, 에 따라


def questions_about(context: str, nouns: Nouns) -> Iterator[AnsweredQuestion]:
    """Yield what the rule asks about ``context``, in its order.

    An answer is the slice that its question was made without. Where two answers would have one
    question, there is none.
    """
    found = [
        AnsweredQuestion(question, (Span(place + answer.start, place + answer.end),))
        for place, clause in _clauses(context)
        for question, answer in _asked_about(clause, nouns)
    ]
    times = Counter(one.question for one in found)
    yield from (one for one in found if times[one.question] == 1)


def _clauses(context: str) -> Iterator[tuple[int, str]]:
    """Yield statements and where they begin: sentences, or the last part of long ones."""
    for span in all_sentences(context):
        sentence = span.of(context)
        if not sentence.endswith("."):
            continue
        start = match.end() if (match := _OPENING.match(sentence)) else 0
        if len(sentence) - start > _LONGEST:
            start = max([start, *(link.end() for link in _LINK.finditer(sentence))])
        clause = sentence[start:-1]
        if _SHORTEST <= len(clause) <= _LONGEST and not _ODD.search(clause):
            yield span.start + start, clause


def _asked_about(clause: str, nouns: Nouns) -> Iterator[tuple[str, Span]]:
    for phrase in phrases(clause, nouns):
        answer = phrase.span.of(clause)
        before, after = clause[: phrase.span.start], clause[phrase.end :]
        if phrase.role == "is":
            question = f"{before}{_asking(phrase, clause)}?"
        else:
            question = asked(f"{before}{_asking(phrase, clause)}{after}") or ""
            if len(question.split()) < _FEWEST or not _tells(f"{before} {after}", nouns):
                continue
        if question and len(answer) <= _LONGEST_ANSWER and answer not in question:
            yield question, phrase.span


def _tells(rest: str, nouns: Nouns) -> bool:
    """Return whether a question with these words besides what it asks is about anything."""
    return any(nouns.cut(word) or word in nouns for word in rest.split())


def _asking(phrase: Phrase, clause: str) -> str:
    """Return what stands in the question where the answer and its particle stood."""
    if phrase.role == "count":
        return f"몇 {phrase.stem}"
    noun = phrase.stem.removesuffix("들")
    if noun in PERSONS or noun.endswith("님"):
        return _PERSONS[phrase.role]
    if noun in PLACES and not _FOLLOWED.match(clause, phrase.end):
        return _PLACES.get(phrase.role, _THINGS[phrase.role])
    return _THINGS[phrase.role]
