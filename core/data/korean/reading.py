"""Korean text that nobody asked about, read as passages that a rule asks about."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from core.data.examples import Example, Passage
from core.data.korean.endings import plainly
from core.data.korean.nouns import Nouns
from core.data.korean.rule import questions_about
from core.data.paired import texts_of
from core.data.sentences import all_sentences
from core.recipes.materials import Material

_LONGEST = 300  # characters of a passage
_SHORTEST_LINE, _LONGEST_TITLE = 10, 40
_CODE = re.compile(r"[=<>{}\[\]\\|*`@#$^~]|\w\(\)|__|::|--|https?:")
_HANGUL = re.compile(r"[가-힣]")
_BRACKETS = re.compile(r"[()]")
_KOREAN = 0.5  # of all letters of a line


def asked_by_rule(files: Sequence[str], root: Path, material: Material) -> Iterator[Example]:
    """Yield passages of the Korean column of tables, with the questions that the rule makes.

    Lines one behind the other are one passage while they are prose; a line that is none ends it,
    and is the title of what follows if it is a heading. Each line of ``material.scattered`` is a
    passage of its own. What is a noun is learned from all ``material.files``. Every second passage
    is read in the plain style, for what people ask about is mostly written so, and documentation
    never is. Passages without a question are left out. Raises DataError as ``table`` does.
    """
    lines = (line for name in material.files for line in texts_of(name, root, material))
    nouns = Nouns.of(word.strip("\"'.,!?") for line in lines for word in line.split())
    for name in files:
        texts = texts_of(name, root, material)
        alone = (("", line) for line in texts if is_prose(line))
        found = alone if name in material.scattered else passages_of(texts)
        for number, (title, said) in enumerate(found):
            context = in_plain_style(said) if number % 2 else said
            if questions := tuple(questions_about(context, nouns)):
                yield Passage(title, context, questions)


def passages_of(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield passages of ``lines``, each with the heading above it, if there is one."""
    title, held = "", ""
    for line in lines:
        prose = is_prose(line)
        if held and (not prose or len(held) + 1 + len(line) > _LONGEST):
            yield title, held
            held = ""
        if prose:
            held = f"{held} {line}".lstrip()
        elif len(line) <= _LONGEST_TITLE and not line.endswith((".", ":", "?", "!")):
            title = line
    if held:
        yield title, held


def in_plain_style(context: str) -> str:
    """Return ``context`` with its polite sentences as books would say them, where that is known."""
    parts, done = [], 0
    for span in all_sentences(context):
        sentence = span.of(context)
        if sentence.endswith(".") and (told := plainly(sentence[:-1])):
            parts += [context[done : span.start], told, "."]
            done = span.end
    return "".join([*parts, context[done:]])


def is_prose(line: str) -> bool:
    """Return whether ``line`` is whole sentences, mostly Korean, without code or markup."""
    letters = sum(map(str.isalpha, line))
    return (
        _SHORTEST_LINE <= len(line) <= _LONGEST
        and line.endswith(".")
        and not _CODE.search(line)
        and len(_HANGUL.findall(line)) >= _KOREAN * letters
        and _are_paired(line)
    )


def _are_paired(line: str) -> bool:
    """Return whether each bracket that opens is closed, and quotes come in twos."""
    open_ = 0
    for bracket in _BRACKETS.findall(line):
        open_ += 1 if bracket == "(" else -1
        if open_ < 0:
            return False
    return open_ == 0 and line.count('"') % 2 == 0
