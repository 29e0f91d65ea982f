"""The finished hypotheses of one row: the best few, no two of the same tokens."""

from core.decoding.step import NEVER, Hypothesis


class Finished:
    """The ``n_best`` best of all that have finished; of equals, those that came first."""

    def __init__(self, n_best: int) -> None:
        self.best: list[Hypothesis] = []  # best first
        self._n_best = n_best

    @property
    def bar(self) -> float:
        """What a hypothesis has to score more than in order to count, at least."""
        return self.best[-1].score if len(self.best) == self._n_best else NEVER

    def add(self, one: Hypothesis) -> None:
        """Keep ``one``, if it is among the best."""
        for known in self.best:
            if known.tokens == one.tokens:
                if known.score >= one.score:
                    return
                self.best.remove(known)
                break
        place = sum(known.score >= one.score for known in self.best)
        self.best.insert(place, one)
        del self.best[self._n_best :]
