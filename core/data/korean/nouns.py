"""Words and particles: where a Korean noun ends, which no space tells.

What is a noun is learned from text itself: a noun takes particles of many kinds (값이, 값을,
값에), and what only looks like one does not (추가 is no 추 with 가).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from core.text.particles import FORMS, fits, role_of

_SURE = frozenset({"of", "at", "in", "means", "and", "to"})  # and 를: no ending looks like these
_LONGEST = sorted((form for forms in FORMS.values() for form in forms), key=len, reverse=True)
_PILED = ("에서", "으로", "에게")  # behind which more particles may stand
# A question in another: 유효한지
_WHETHER = re.compile(r"[가-힣]+(?:는|한|인|은|할|될|일|을|던)지")
_WRITTEN = re.compile(r"[가-힣A-Za-z0-9]+(?:[-.][A-Za-z0-9]+)*")  # what a noun consists of


class Cut(NamedTuple):
    """A word as its noun and the particle behind it."""

    stem: str
    particle: str

    @property
    def role(self) -> str:
        """What the particle is for, by the names of ``core.text.particles``."""
        return role_of(self.particle)


def cuts(word: str) -> Iterable[Cut]:
    """Yield every way to take ``word`` for a noun with a particle, the longest particle first.

    A particle of two forms must be the one that the sound before it asks for: 값이, 수가; behind
    letters or figures that could be read in several ways, both will do.
    """
    for particle in _LONGEST:
        stem = word.removesuffix(particle)
        if stem != word and _WRITTEN.fullmatch(stem) and fits(stem, particle):
            yield Cut(stem, particle)


class Nouns:
    """What a text uses as a noun."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = frozenset(known)

    @classmethod
    def of(cls, words: Iterable[str]) -> "Nouns":
        """Learn nouns from the ``words`` of a text.

        One has particles for two purposes behind it, or for four where it is one syllable long;
        at least one of them is such that no ending of a verb looks like it.
        """
        seen: dict[str, set[str]] = defaultdict(set)
        sure = set[str]()
        for word in words:
            for stem, particle in cuts(word):
                role = role_of(particle)
                if stem.endswith(_PILED) or _WHETHER.fullmatch(stem):
                    continue
                seen[stem].add(role)
                if role in _SURE or particle == "를":
                    sure.add(stem)
        return cls([stem for stem in sure if len(seen[stem]) >= (4 if len(stem) == 1 else 2)])

    def __contains__(self, word: str) -> bool:
        """Return whether ``word`` is a noun; names in Latin letters, and figures, always are."""
        if not word or not _WRITTEN.fullmatch(word):
            return False
        return word in self._known or word.removesuffix("들") in self._known or word.isascii()

    def cut(self, word: str) -> Cut | None:
        """Return ``word`` as a noun and its particle; None if it has none, or is no noun."""
        if word in self:
            return None
        return next((cut for cut in cuts(word) if cut.stem in self), None)
