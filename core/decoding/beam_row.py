"""One request that is searched for by a beam: how it chooses, ranks and finishes."""

from collections.abc import Callable
from dataclasses import dataclass

from core.decoding.candidates import Choice, Chooser, Extension, Texts, Turn
from core.decoding.diverse import Groups
from core.decoding.finished import Finished
from core.decoding.looks import Looks
from core.decoding.required import Banks
from core.decoding.step import Hypothesis, Wish, normalised


@dataclass(frozen=True, slots=True)
class BeamRow:
    """What is known of one request, besides what its live hypotheses have said."""

    key: int
    wish: Wish
    chooser: Chooser | None  # none: the best go on, as with most
    looks: Looks | None  # none: where it looks is not asked for
    finished: Finished

    def score(self, place: int, log_prob: float, length: int, *, now: bool) -> float:
        """Return what a hypothesis ranks by; with ``now``, the step that is taken is part of it."""
        spec = self.wish.spec
        score = normalised(log_prob, length, spec.length_penalty)
        if spec.coverage_penalty and self.looks is not None:
            score -= spec.coverage_penalty * self.looks.lack(place, now=now)
        return score

    def score_of(self, length: int) -> Callable[[Extension], float]:
        """Return what gives the score of an extension, of so many words with its end."""
        return lambda one: self.score(one.parent, one.total, length, now=True)

    def choose(self, turn: Turn) -> Choice:
        """Return what goes on: what the prefix says, then what the row chooses by itself."""
        said = turn.said[0]
        if len(said) >= len(self.wish.prefix):
            return self.chooser.choose(turn) if self.chooser is not None else Choice()
        word = self.wish.prefix[len(said)]
        log_prob = turn.forced(0, word)
        one = Extension(0, word, turn.totals[0] + log_prob, log_prob)
        if Texts(self.wish).ends(said, word):
            return Choice(ended=[one])
        return Choice(live=[one])

    def finish(
        self,
        place: int,
        words: list[int],
        log_probs: list[float],
        total: float,
        by: Extension | None,
    ) -> bool:
        """Finish what has said ``words``, ``by`` its end or as it is; return whether it is best."""
        speaks = by is not None and by.word != self.wish.end
        if by is not None:
            total = by.total
            log_probs = [*log_probs, by.log_prob]
            words = [*words, by.word] if speaks else words
        one = Hypothesis(
            tuple(words),
            total,
            self.score(place, total, len(log_probs), now=by is not None),
            ended=by is not None,
            token_log_probs=tuple(log_probs),
            attention=self.looks.steps(place, now=speaks) if self.looks is not None else None,
        )
        self.finished.add(one)
        return self.finished.best[0] is one


def row_of(key: int, wish: Wish, source_length: int) -> BeamRow:
    """Return the row of a request that begins.

    Raises InputError if it requires phrases that do not fit.
    """
    spec = wish.spec
    chooser: Chooser | None = None
    if wish.required:
        chooser = Banks(wish)
    elif spec.beam_groups > 1 or wish.banned or wish.stop:
        chooser = Groups(wish)
    looks = None
    if spec.alignments or spec.coverage_penalty:
        looks = Looks(source_length, kept=spec.alignments)
    return BeamRow(key, wish, chooser, looks, Finished(spec.n_best))
