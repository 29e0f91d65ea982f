"""Lines that go on by themselves: the likeliest word, a drawn one, or one that is told.

Sizes: N lines, S source steps, T target steps, V vocabulary.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.decoding.best import best_of, log_z
from core.decoding.constraints import Bans, completes, shape
from core.decoding.line import Line
from core.decoding.sampling import sample
from core.decoding.step import NEVER, Advance, Hypothesis, Wish
from core.text.tokenizer import UNK


@dataclass(slots=True)
class _Request:
    """What has come of the lines of one request."""

    lines: int
    done: dict[int, Hypothesis] = field(default_factory=dict)  # by the number of the line

    def answer(self, wish: Wish) -> list[Hypothesis]:
        """Return all scripts in their order, or distinct draws, best first."""
        every = [self.done[number] for number in sorted(self.done)]
        if wish.scripts:
            return every
        distinct = {one.tokens: one for one in reversed(every)}
        return sorted(distinct.values(), key=lambda one: (-one.score, one.tokens))


@dataclass(frozen=True, slots=True)
class _Company:
    """What the lines have to be asked for, as long as they are the same."""

    bans: Bans
    needs_z: bool
    scripted: list[int]  # places of lines with something to say first
    shaped: list[int]
    drawing: list[int]
    careful: list[int]  # with texts that are banned
    looking: list[int]  # that tell where they looked

    @property
    def never(self) -> Tensor | None:
        """What is never said, if each line is asked for nothing but the likeliest other word."""
        if self.scripted or self.shaped or self.drawing or self.careful:
            return None
        return self.bans.shared

    @classmethod
    def of(cls, lines: Sequence[Line]) -> "_Company":
        """Look at ``lines`` once."""
        every = list(enumerate(lines))
        return cls(
            bans=Bans([line.wish for line in lines]),
            needs_z=any(line.needs_z for line in lines),
            scripted=[place for place, line in every if line.script],
            shaped=[place for place, line in every if line.shaped],
            drawing=[place for place, line in every if line.coins is not None],
            careful=[place for place, line in every if line.careful],
            looking=[place for place, line in every if line.looking],
        )


class Singles:
    """All lines of a running batch that search for nothing: greedy, sampled, scored."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._requests: dict[int, _Request] = {}
        self._company: _Company | None = None  # of the lines as they are

    @property
    def lines(self) -> int:
        """How many lines it has now."""
        return len(self._lines)

    @property
    def never(self) -> Tensor | None:
        """What is never said, if each line is asked for nothing but the likeliest other word."""
        return self._together().never

    @property
    def needs_z(self) -> bool:
        """Whether any line is asked for log probabilities."""
        return self._together().needs_z

    def begin(self, key: int, wish: Wish, source_length: int) -> int:
        """Take a request in: a line for each script or draw, or one."""
        spec = wish.spec
        scripts: Sequence[tuple[int, ...]] = wish.scripts or (wish.prefix,) * spec.n_best
        for number, script in enumerate(scripts):
            self._lines.append(Line(key, number, wish, source_length, script))
        self._requests[key] = _Request(len(scripts))
        self._company = None
        return len(scripts)

    def leave(self, keys: Collection[int]) -> list[int]:
        """Forget requests; return which of its lines stay, in their order."""
        staying = [place for place, line in enumerate(self._lines) if line.key not in keys]
        self._keep(staying)
        for key in keys:
            self._requests.pop(key, None)
        return staying

    def advance(self, logits: Tensor, attention: Tensor | None) -> Advance:
        """Say one more word in each line; ``logits`` (N, V) are changed in place."""
        looks = self._looks(attention)
        return self._go_on(*self._choose(logits), looks)

    def follow(self, values: Tensor, words: Tensor, attention: Tensor | None) -> Advance:
        """Say ``words`` (N,), one in each line, which have the log probabilities ``values``."""
        return self._go_on(words.tolist(), values.tolist(), self._looks(attention))

    def _go_on(
        self,
        chosen: Sequence[int],
        log_probs: Sequence[float],
        looks: dict[int, NDArray[np.float32]],
    ) -> Advance:
        """Let each line say what was ``chosen`` for it (N,)."""
        advance = Advance([], [], [], [])
        for place, line in enumerate(self._lines):
            token, log_prob = chosen[place], log_probs[place]
            if line.goes_on(token, log_prob):
                if line.tells:
                    advance.told.append((line.key, (token,)))
                advance.parents.append(place)
                advance.words.append(token)
            elif math.isnan(log_prob):  # no word can be trusted
                self._fail(line.key, advance)
            else:
                if line.looking and looks:
                    line.looks.append(looks[place])
                self._take(place, token, log_prob, advance)
        if len(advance.parents) < len(self._lines):
            self._drop_failed(advance)
            self._keep(advance.parents)
        return advance

    def _take(self, place: int, token: int, log_prob: float, advance: Advance) -> None:
        """Let the line at ``place`` say ``token``, which may be its end."""
        line = self._lines[place]
        said, word = len(line.words), line.told_word
        hypothesis = line.take(token if word is None else word, log_prob)
        if line.tells and len(line.words) > said:
            advance.told.append((line.key, (line.words[-1],)))
        if hypothesis is None:
            advance.parents.append(place)
            advance.words.append(token)
        else:
            self._end(line, hypothesis, advance)

    def _choose(self, logits: Tensor) -> tuple[list[int], list[float]]:
        """Return what each line says next, and its log probability."""
        lines, company = self._lines, self._together()
        z = log_z(logits) if company.needs_z else None  # (N,), before anything is forbidden
        told = [
            (place, *_known(logits, place, word))
            for place in company.scripted
            if (word := lines[place].told_word) is not None
        ]
        company.bans.apply(logits)
        if company.shaped:
            wishes = [line.wish for line in lines]
            words = [line.words for line in lines]
            shape(logits, logits[:, 0] if z is None else z, company.shaped, wishes, words)
        values, tokens = (part.squeeze(1) for part in best_of(logits, 1))
        self._draw(logits, values, tokens, company.drawing)
        self._avoid_banned(logits, values, tokens, company)
        for place, word, value in told:
            tokens[place], values[place] = word, value
        return tokens.tolist(), (values if z is None else values - z).tolist()

    def _together(self) -> "_Company":
        if self._company is None:
            self._company = _Company.of(self._lines)
        return self._company

    def _draw(self, logits: Tensor, values: Tensor, tokens: Tensor, places: Sequence[int]) -> None:
        """Put drawn words of the lines at ``places`` into ``tokens`` (N,) and ``values`` (N,)."""
        able = [place for place in places if values[place] > NEVER]
        if not able:
            return
        lines = [self._lines[place] for place in able]
        where = torch.tensor(able, device=logits.device)
        rows = logits[where]
        drawn = sample(
            rows,
            temperatures=[line.wish.spec.temperature or 1.0 for line in lines],
            top_ks=[line.wish.spec.top_k for line in lines],
            top_ps=[line.wish.spec.top_p for line in lines],
            coins=[line.coins[len(line.words)] for line in lines if line.coins is not None],
        )
        tokens[where] = drawn
        values[where] = rows.gather(1, drawn.unsqueeze(1)).squeeze(1)

    def _avoid_banned(
        self, logits: Tensor, values: Tensor, tokens: Tensor, company: "_Company"
    ) -> None:
        """Choose again, as often as need be, where a word would complete a banned text."""
        guilty = company.careful
        while guilty := [place for place in guilty if self._completes(place, values, tokens)]:
            for place in guilty:
                logits[place, tokens[place]] = NEVER
                values[place], tokens[place] = logits[place].max(-1)
            drawing = [place for place in guilty if self._lines[place].coins is not None]
            self._draw(logits, values, tokens, drawing)

    def _completes(self, place: int, values: Tensor, tokens: Tensor) -> bool:
        line, wish = self._lines[place], self._lines[place].wish
        return bool(values[place] > NEVER) and completes(
            wish.banned, wish.spell, line.words, int(tokens[place]), wish.lead
        )

    def _looks(self, attention: Tensor | None) -> dict[int, NDArray[np.float32]]:
        """Return where the lines that ask for it looked, each (S,) of its own source."""
        if attention is None:
            return {}
        return {
            place: attention[place, : self._lines[place].source_length].float().cpu().numpy()
            for place in self._together().looking
        }

    def _end(self, line: Line, hypothesis: Hypothesis, advance: Advance) -> None:
        request = self._requests.get(line.key)
        if request is None:  # it has failed
            return
        request.done[line.number] = hypothesis
        if len(request.done) == request.lines:
            del self._requests[line.key]
            advance.ended.append((line.key, request.answer(line.wish)))

    def _fail(self, key: int, advance: Advance) -> None:
        """End a request with nothing: its numbers are none."""
        if self._requests.pop(key, None) is not None:
            advance.ended.append((key, []))

    def _drop_failed(self, advance: Advance) -> None:
        """Take the other lines of requests that failed out of what goes on."""
        staying = [
            (place, word)
            for place, word in zip(advance.parents, advance.words, strict=True)
            if self._lines[place].key in self._requests
        ]
        advance.parents[:] = [place for place, _ in staying]
        advance.words[:] = [word for _, word in staying]

    def _keep(self, places: Sequence[int]) -> None:
        if len(places) < len(self._lines):
            self._lines = [self._lines[place] for place in places]
            self._company = None


def _known(logits: Tensor, place: int, word: int) -> tuple[int, float]:
    """Return ``word`` and its logit; those of UNK where the line's source does not bring it."""
    value = logits[place, word].item() if word < logits.size(1) else NEVER
    return (word, value) if value != NEVER else (UNK, logits[place, UNK].item())
