"""Diverse beam search: groups of a beam that keep away from each other's words.

One group is beam search as ever, where texts end hypotheses or are forbidden them.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.decoding.candidates import Choice, Extension, Texts, Turn
from core.decoding.step import NEVER, Wish


@dataclass(slots=True)
class _Group:
    live: int = 0  # how many of the live hypotheses are its own
    scores: list[float] = field(default_factory=list)  # of those that have ended, best first


class Groups:
    """Chooses for a row whose beam is divided; a group ends when none of its own promises more.

    In a step the groups choose one after the other. What earlier ones have said in it ranks lower
    by ``diversity`` for each of them that said it; log probabilities stay the model's own.
    Source: Vijayakumar et al. 2018, "Diverse Beam Search", with Hamming diversity.
    """

    def __init__(self, wish: Wish) -> None:
        spec = wish.spec
        self._texts = Texts(wish)
        self._diversity = spec.diversity
        self._width = spec.beam_size // spec.beam_groups
        self._n_best = -(-spec.n_best // spec.beam_groups)  # of each group
        self._groups = [_Group() for _ in range(spec.beam_groups)]
        self._begun = False

    def choose(self, turn: Turn) -> Choice:
        """Return what goes on, group by group, and what ends."""
        choice = Choice()
        said: Counter[int] = Counter()
        begun, place = self._begun, 0
        self._begun = True
        for group in self._groups:
            parents = range(place, place + group.live) if begun else range(1)
            place = parents.stop
            if not parents:
                continue
            costs = {word: self._diversity * times for word, times in said.items()}
            live = self._grow(group, turn, parents, costs, choice)
            said.update(one.word for one in live)
            group.live = len(live)
            choice.live.extend(live)
        return choice

    def _grow(
        self,
        group: _Group,
        turn: Turn,
        parents: range,
        costs: Mapping[int, float],
        choice: Choice,
    ) -> list[Extension]:
        """Return what goes on of a group's hypotheses ``parents``; put what does not to others."""
        live: list[Extension] = []
        ended: list[Extension] = []
        some = False
        rank = -1
        for one in turn.ranked(parents, costs):
            said = turn.said[one.parent]
            if not self._texts.allowed(said, one.word):
                continue
            some, rank = True, rank + 1
            if not self._texts.ends(said, one.word):
                live.append(one)
            elif rank < self._width:  # an end that loses to better extensions is not taken early
                ended.append(one)
            if len(live) == self._width:
                break
        if not some:
            choice.cut.extend(parents)
        choice.ended.extend(ended)
        group.scores += map(turn.score, ended)
        group.scores = sorted(group.scores, reverse=True)[: self._n_best]
        bar = group.scores[-1] if len(group.scores) == self._n_best else NEVER
        priced = (one._replace(total=one.total - costs.get(one.word, 0.0)) for one in live)
        promise = turn.promise if self._width > 1 else turn.score  # one ends with the likeliest
        return live if any(promise(one) > bar for one in priced) else []
