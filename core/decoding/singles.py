"""Lines that go on by themselves: the likeliest word, a drawn one, or one that is told.

Sizes: N lines, S source steps, T target steps, V vocabulary.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.decoding.best import best_of, log_z
from core.decoding.constraints import Bans, completes, is_shaped, shape, stops
from core.decoding.sampling import draw_coins, sample
from core.decoding.step import NEVER, Advance, Hypothesis, Wish, normalised
from core.text.tokenizer import UNK


@dataclass(slots=True)
class _Line:
    """One sequence on its way."""

    key: int
    number: int  # among the lines of its request
    wish: Wish
    source_length: int
    script: tuple[int, ...]  # what it says first, whatever the model thinks of it
    coins: list[float] | None = None  # one for each step, where it draws
    words: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    looks: list[NDArray[np.float32]] = field(default_factory=list)  # (S,) for each step

    @property
    def is_scored(self) -> bool:
        """Whether it says its script and nothing else."""
        return bool(self.wish.scripts)

    @property
    def needs_z(self) -> bool:
        """Whether it has to know log probabilities, not only which is the highest."""
        wish = self.wish
        ranked = wish.scored or self.is_scored or wish.spec.n_best > 1
        return ranked or wish.spec.repetition_penalty > 1

    @property
    def told_word(self) -> int | None:
        """The word that its script has for this step."""
        said = len(self.words)
        return self.script[said] if said < len(self.script) else None

    def take(self, token: int, log_prob: float) -> Hypothesis | None:
        """Append ``token``; return the hypothesis if that was its end.

        A line that may say nothing at all has come to its end too.
        """
        wish, ended = self.wish, token == self.wish.end
        if log_prob > NEVER:
            self.log_probs.append(log_prob if self.needs_z else math.nan)
            if not ended:
                self.words.append(token)
                if self.is_scored:
                    if len(self.words) < len(self.script):
                        return None
                elif stops(wish, self.words):
                    ended = True
                elif len(self.words) < wish.spec.max_tokens:
                    return None
        elif self.looks:
            self.looks.pop()  # of a word that was not said
        total = sum(self.log_probs)
        score = normalised(total, len(self.log_probs), wish.spec.length_penalty)
        attention = np.stack(self.looks) if self.looks else None
        return Hypothesis(tuple(self.words), total, score, ended, tuple(self.log_probs), attention)


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

    @classmethod
    def of(cls, lines: Sequence[_Line]) -> "_Company":
        """Look at ``lines`` once."""

        def where(condition: Callable[[_Line], object]) -> list[int]:
            return [place for place, line in enumerate(lines) if condition(line)]

        return cls(
            bans=Bans([line.wish for line in lines]),
            needs_z=any(line.needs_z for line in lines),
            scripted=where(lambda line: line.script),
            shaped=where(lambda line: is_shaped(line.wish)),
            drawing=where(lambda line: line.coins is not None),
            careful=where(lambda line: line.wish.banned and not line.is_scored),
            looking=where(lambda line: line.wish.spec.alignments),
        )


class Singles:
    """All lines of a running batch that search for nothing: greedy, sampled, scored."""

    def __init__(self) -> None:
        self._lines: list[_Line] = []
        self._requests: dict[int, _Request] = {}
        self._company: _Company | None = None  # of the lines as they are

    @property
    def lines(self) -> int:
        """How many lines it has now."""
        return len(self._lines)

    def begin(self, key: int, wish: Wish, source_length: int) -> int:
        """Take a request in: a line for each script or draw, or one."""
        spec = wish.spec
        scripts: Sequence[tuple[int, ...]] = wish.scripts or (wish.prefix,) * spec.n_best
        for number, script in enumerate(scripts):
            coins = None
            if spec.temperature is not None and not wish.scripts:
                coins = draw_coins(spec.seed + number, spec.max_tokens).tolist()
            self._lines.append(_Line(key, number, wish, source_length, script, coins))
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
        chosen, log_probs = self._choose(logits)
        advance = Advance([], [], [], [])
        for place, line in enumerate(self._lines):
            token, log_prob = chosen[place], log_probs[place]
            if math.isnan(log_prob):  # no word can be trusted
                self._fail(line.key, advance)
                continue
            if place in looks:
                line.looks.append(looks[place])
            said = len(line.words)
            word = line.told_word
            hypothesis = line.take(token if word is None else word, log_prob)
            if len(line.words) > said and self._tells(line):
                advance.told.append((line.key, (token,)))
            if hypothesis is None:
                advance.parents.append(place)
                advance.words.append(token)
            else:
                self._end(line, hypothesis, advance)
        if len(advance.parents) < len(self._lines):
            self._drop_failed(advance)
            self._keep(advance.parents)
        return advance

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
            wishes = [lines[place].wish for place in company.shaped]
            words = [lines[place].words for place in company.shaped]
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

    def _tells(self, line: _Line) -> bool:
        """Whether what it says is certain at once: it is the only line of its request."""
        return not line.is_scored and self._requests[line.key].lines == 1

    def _end(self, line: _Line, hypothesis: Hypothesis, advance: Advance) -> None:
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
