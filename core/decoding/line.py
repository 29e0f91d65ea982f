"""One sequence on its way by itself.

Sizes: S source steps, T target steps.
"""

import math

import numpy as np
from numpy.typing import NDArray

from core.decoding.constraints import is_shaped, stops
from core.decoding.sampling import draw_coins
from core.decoding.step import NEVER, Hypothesis, Wish, normalised


class Line:
    """One sequence on its way. What every step asks of it is looked up once."""

    __slots__ = (
        "careful", "coins", "end", "key", "limit", "log_probs", "looking", "looks", "needs_z",
        "number", "plain", "script", "shaped", "source_length", "tells", "wish", "words",
    )  # fmt: skip

    def __init__(
        self, key: int, number: int, wish: Wish, source_length: int, script: tuple[int, ...]
    ) -> None:
        """Line ``number`` of a request; ``script`` is what it says first."""
        spec, scored = wish.spec, bool(wish.scripts)
        self.key = key
        self.number = number
        self.wish = wish
        self.source_length = source_length
        self.script = script
        self.words: list[int] = []
        self.log_probs: list[float] = []
        self.looks: list[NDArray[np.float32]] = []  # (S,) for each step, if asked for
        self.coins: list[float] | None = None  # one for each step, where it draws
        if spec.temperature is not None and not scored:
            self.coins = draw_coins(spec.seed + number, spec.max_tokens).tolist()
        self.end = wish.end
        self.limit = len(script) if scored else spec.max_tokens
        self.tells = not scored and spec.n_best == 1  # its words are certain at once
        self.shaped = is_shaped(wish)
        self.careful = bool(wish.banned) and not scored
        self.looking = spec.alignments
        self.plain = not (script or wish.stop or self.looking)
        ranked = wish.scored or scored or spec.n_best > 1
        self.needs_z = ranked or spec.repetition_penalty > 1  # not only which is the highest

    @property
    def told_word(self) -> int | None:
        """The word that its script has for this step."""
        said = len(self.words)
        return self.script[said] if said < len(self.script) else None

    def goes_on(self, token: int, log_prob: float) -> bool:
        """Append ``token`` and return True, if that is nothing out of the ordinary."""
        if not self.plain or token == self.end or not log_prob > NEVER:
            return False
        if len(self.words) + 1 >= self.limit:
            return False
        self.words.append(token)
        self.log_probs.append(log_prob)
        return True

    def take(self, token: int, log_prob: float) -> Hypothesis | None:
        """Append ``token``; return the hypothesis if that was its end.

        A line that may say nothing at all has come to its end too.
        """
        ended = token == self.end
        if log_prob > NEVER:
            self.log_probs.append(log_prob)
            if not ended:
                self.words.append(token)
                if not self.wish.scripts and stops(self.wish, self.words):
                    ended = True
                elif len(self.words) < self.limit:
                    return None
        return self._finished(ended=ended)

    def _finished(self, *, ended: bool) -> Hypothesis:
        values = tuple(self.log_probs) if self.needs_z else (math.nan,) * len(self.log_probs)
        total = sum(values)
        score = normalised(total, len(values), self.wish.spec.length_penalty)
        attention = np.stack(self.looks)[: len(self.words)] if self.looks else None  # no end
        return Hypothesis(tuple(self.words), total, score, ended, values, attention)
