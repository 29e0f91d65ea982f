"""Beam search for hypotheses that contain phrases, wherever these fit best.

A phrase is a sequence of tokens; hypotheses are told apart by how much of the phrases they have.
Source: Post and Vilar 2018, "Fast Lexically Constrained Decoding with Dynamic Beam Allocation".
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from core.decoding.candidates import Choice, Extension, Texts, Turn
from core.decoding.step import NEVER, Wish
from core.errors import InputError

Phrase = tuple[int, ...]
Progress = tuple[int, ...]  # how many words of each phrase are said: whole, or at the end


class Phrases:
    """What has to be said, without what another phrase contains."""

    def __init__(self, phrases: Sequence[Phrase]) -> None:
        distinct = [phrase for phrase in dict.fromkeys(phrases) if phrase]
        self.all = [
            phrase
            for phrase in distinct
            if not any(phrase != other and _contains(other, phrase) for other in distinct)
        ]
        self._borders = [_borders(phrase) for phrase in self.all]
        self._ways: dict[tuple[int, frozenset[int]], int] = {}  # as far as was asked

    def begin(self, words: Sequence[int] = ()) -> Progress:
        """Return how far ``words`` have come."""
        progress: Progress = (0,) * len(self.all)
        for word in words:
            progress = self.after(progress, word)
        return progress

    def after(self, progress: Progress, word: int) -> Progress:
        """Return how far one has come who goes on with ``word``.

        What breaks off in the middle keeps as much as is the beginning of its phrase.
        """
        matched = list(progress)
        for number, (phrase, borders) in enumerate(zip(self.all, self._borders, strict=True)):
            place = matched[number]
            if place == len(phrase):
                continue
            while place and phrase[place] != word:
                place = borders[place - 1]
            matched[number] = place + (phrase[place] == word)
        return tuple(matched)

    def need(self, progress: Progress) -> int:
        """Return the least number of words that say all that is missing; phrases may overlap."""
        missing = frozenset(
            number
            for number, (phrase, place) in enumerate(zip(self.all, progress, strict=True))
            if place < len(phrase)
        )
        ways = (
            len(self.all[one]) - progress[one] + self._after(one, missing - {one})
            for one in missing
        )
        return min(ways, default=0)

    def _after(self, said: int, missing: frozenset[int]) -> int:
        """Return how many words say the phrases ``missing``, right after one that was ``said``."""
        if not missing:
            return 0
        known = self._ways.get((said, missing))
        if known is None:
            known = self._ways[said, missing] = min(
                len(self.all[one])
                - _overlap(self.all[said], self.all[one])
                + self._after(one, missing - {one})
                for one in missing
            )
        return known

    def following(self, progress: Progress) -> Iterator[int]:
        """Yield the next word of each phrase that is missing."""
        for phrase, place in zip(self.all, progress, strict=True):
            if place < len(phrase):
                yield phrase[place]


def refuse_unsayable(wish: Wish) -> None:
    """Raise InputError if phrases are required that cannot all be said as the rest is wished."""
    for reason in _faults(wish, Phrases(wish.required)):
        raise InputError(f"required: {reason}", field="decode.required")


def _faults(wish: Wish, phrases: Phrases) -> Iterator[str]:
    texts = Texts(wish)
    missing = phrases.need(phrases.begin(wish.prefix))
    need, most = len(wish.prefix) + missing, wish.spec.max_tokens
    if need > most:
        yield f"this takes {need} tokens with its prefix, more than max_tokens ({most})"
    if missing and any(texts.ends(wish.prefix[:n], word) for n, word in enumerate(wish.prefix)):
        yield "the reply ends with its prefix"
    ending = 0
    for phrase in phrases.all:
        if wish.end in phrase or not set(wish.never).isdisjoint(phrase):
            yield "a phrase has words that are never said"
        if not all(texts.allowed(phrase[:place], word) for place, word in enumerate(phrase)):
            yield "a phrase contains a banned text"
        stops = [texts.ends(phrase[:place], word) for place, word in enumerate(phrase)]
        if any(stops[:-1]):
            yield "a phrase goes on behind a text that ends the reply"
        ending += stops[-1]
    if ending > 1:
        yield "the reply ends with the first of two phrases"


class Banks:
    """Chooses for a row whose hypotheses have to contain phrases.

    Places in the beam are dealt out to the best of each bank in turn, that is of those that lack
    as many words of the phrases. What could no longer say all of them in time is no candidate.
    """

    def __init__(self, wish: Wish) -> None:
        """Raise InputError if no hypothesis can be as is wished."""
        refuse_unsayable(wish)
        self._phrases = Phrases(wish.required)
        self._texts = Texts(wish)
        self._end = wish.end
        self._spec = wish.spec
        self._live = [self._phrases.begin(wish.prefix)]  # of each live hypothesis
        self._scores: list[float] = []  # of those that have ended, best first

    def choose(self, turn: Turn) -> Choice:
        """Return what goes on, the likeliest first, and what ends."""
        candidates = self._possible(turn, self._candidates(turn))
        if not candidates:  # what the phrases need is forbidden: they come first
            candidates = self._possible(turn, self._forced(turn))
        ended: list[Extension] = []
        banks: dict[int, list[tuple[Extension, Progress]]] = {}
        whole = 0  # how many before this one lack nothing
        for one, progress in candidates:
            need = self._phrases.need(progress)
            if not self._texts.ends(turn.said[one.parent], one.word):
                banks.setdefault(need, []).append((one, progress))
            elif whole < self._spec.beam_size:
                ended.append(one)
            whole += not need
        cut = [] if candidates else [p for p, had in enumerate(self._live) if not self._lacks(had)]
        live = self._deal(banks)
        self._live = [progress for _, progress in live]
        going = [one for one, _ in live]
        return Choice(going if self._goes_on(turn, going, ended) else [], ended, cut)

    def _lacks(self, progress: Progress) -> bool:
        return self._phrases.need(progress) > 0

    def _candidates(self, turn: Turn) -> Iterator[Extension]:
        """Yield the best of all, the best of each hypothesis, and what would go on with phrases."""
        left = self._spec.max_tokens - len(turn.said[0])
        free = [p for p, had in enumerate(self._live) if self._phrases.need(had) < left]
        yield from islice(self._allowed(turn, turn.ranked(free)), 4 * self._spec.beam_size)
        for parent in free:
            yield from islice(self._allowed(turn, turn.ranked([parent])), 2)
        for parent, had in enumerate(self._live):
            for word in self._phrases.following(had):
                log_prob = turn.step.of(turn.first + parent, word)
                if log_prob > NEVER:
                    yield Extension(parent, word, turn.totals[parent] + log_prob, log_prob)

    def _forced(self, turn: Turn) -> Iterator[Extension]:
        """Yield what goes on with phrases, whatever forbids it."""
        for parent, had in enumerate(self._live):
            for word in self._phrases.following(had):
                log_prob = turn.forced(parent, word)
                yield Extension(parent, word, turn.totals[parent] + log_prob, log_prob)

    def _allowed(self, turn: Turn, some: Iterator[Extension]) -> Iterator[Extension]:
        return (one for one in some if self._texts.allowed(turn.said[one.parent], one.word))

    def _possible(self, turn: Turn, some: Iterator[Extension]) -> list[tuple[Extension, Progress]]:
        """Return those that can still say everything in time, and have if they end; best first."""
        left = self._spec.max_tokens - len(turn.said[0]) - 1
        possible = []
        for one in set(self._allowed(turn, some)):
            had, said = self._live[one.parent], turn.said[one.parent]
            progress = had if one.word == self._end else self._phrases.after(had, one.word)
            need = self._phrases.need(progress)
            if need <= (0 if self._texts.ends(said, one.word) else left):
                possible.append((one, progress))
        return sorted(possible, key=lambda pair: (-pair[0].total, pair[0].parent, pair[0].word))

    def _deal(
        self, banks: Mapping[int, list[tuple[Extension, Progress]]]
    ) -> list[tuple[Extension, Progress]]:
        """Fill the beam with the best of each bank, then the second of each; fullest bank first."""
        rounds = [
            (rank, need, pair) for need, bank in banks.items() for rank, pair in enumerate(bank)
        ]
        dealt = sorted(rounds, key=lambda one: one[:2])[: self._spec.beam_size]
        return sorted((pair for *_, pair in dealt), key=lambda pair: -pair[0].total)

    def _goes_on(self, turn: Turn, live: list[Extension], ended: list[Extension]) -> bool:
        """Whether something that is still growing promises more than what has ended."""
        self._scores = sorted([*self._scores, *map(turn.score, ended)], reverse=True)
        del self._scores[self._spec.n_best :]
        full = len(self._scores) == self._spec.n_best
        bar = self._scores[-1] if full else NEVER
        return any(turn.promise(one) > bar for one in live)


def _contains(words: Phrase, phrase: Phrase) -> bool:
    places = range(len(words) - len(phrase) + 1)
    return any(words[place : place + len(phrase)] == phrase for place in places)


def _overlap(before: Phrase, after: Phrase) -> int:
    """Return how much of the beginning of ``after`` the end of ``before`` says."""
    longest = min(len(before), len(after)) - 1
    return next(
        length
        for length in range(longest, -1, -1)
        if before[-length:] == after[:length] or not length
    )


def _borders(phrase: Phrase) -> list[int]:
    """Return for each word how long a beginning of ``phrase`` ends there, but all up to it.

    Source: Knuth, Morris and Pratt 1977.
    """
    borders = [0]
    for word in phrase[1:]:
        length = borders[-1]
        while length and phrase[length] != word:
            length = borders[length - 1]
        borders.append(length + (phrase[length] == word))
    return borders
