"""Beam search in a running batch: rows of different widths, lengths so far, and options.

Rows whose candidates stand by their scores alone choose together, in arrays; the others have a
chooser of their own. Sizes: R rows, K hypotheses of the widest beam, N lines (those that live),
C candidates of each line, S source steps, V vocabulary.
"""

from collections.abc import Collection, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.decoding.beam_row import BeamRow, row_of
from core.decoding.best import best_of, log_z
from core.decoding.candidates import Choice, Extension, Step, Turn
from core.decoding.constraints import Bans, is_shaped, shape
from core.decoding.histories import Growth, Histories, Ints
from core.decoding.selection import Endings, enter, select
from core.decoding.step import NEVER, Advance, Wish
from core.text.tokenizer import UNK

_NONE = -1  # the end of those that have none

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class _Layout:
    """Which line is which hypothesis: those of a row follow each other, best first."""

    def __init__(self, counts: Ints) -> None:
        self.counts = counts  # (R,)
        self.firsts = counts.cumsum() - counts  # (R,) the line of the best of each row
        self.rows = np.arange(len(counts)).repeat(counts)  # (N,)
        self.places = np.arange(len(self.rows)) - self.firsts[self.rows]  # (N,)

    def of(self, row: int) -> slice:
        """Return the lines of a row."""
        return slice(int(self.firsts[row]), int(self.firsts[row] + self.counts[row]))


class Beams:
    """All requests of a running batch that search by a beam.

    A request ends when nothing that is still growing promises more than what has ended, or at its
    longest length, where what was cut off competes. One whose numbers are not finite ends with no
    hypothesis at all.
    """

    def __init__(self) -> None:
        self._rows: list[BeamRow] = []
        self._histories = Histories()
        self._widths = self._longest = self._ends = np.zeros(0, np.int64)  # (R,) of each wish
        self._penalties = np.zeros(0)  # (R,)
        self._widest = 1
        self._shaped: list[int] = []  # rows whose wishes depend on what was said
        self._alike = False  # whether the same is never said in any row
        self._bars = np.zeros(0)  # (R,) what a hypothesis has to score more than, to count
        self._bans: tuple[tuple[int, ...], Bans] | None = None  # for so many lines of each row

    @property
    def lines(self) -> int:
        """How many lines it has now."""
        known = self._histories.counts
        return int(known.sum()) + len(self._rows) - len(known)

    def begin(self, key: int, wish: Wish, source_length: int) -> int:
        """Take a request in; it begins with one line.

        Raises InputError, and changes nothing, if it requires phrases that do not fit.
        """
        self._rows.append(row_of(key, wish, source_length))
        return 1

    def leave(self, keys: Collection[int]) -> list[int]:
        """Forget requests; return which of its lines stay, in their order."""
        self._settle_in()
        staying = np.array([row.key not in keys for row in self._rows], np.bool_)
        lines: list[int] = np.flatnonzero(staying.repeat(self._histories.counts)).tolist()
        self._keep(staying)
        return lines

    def advance(self, logits: Tensor, attention: Tensor | None) -> Advance:
        """Say one more word in each hypothesis; ``logits`` (N, V) are changed in place."""
        self._settle_in()
        layout = _Layout(self._histories.counts)
        if attention is not None:
            self._look(attention, layout)
        own = self._own_turns(logits, layout)
        step = self._step(logits, layout)
        failed = np.zeros(len(self._rows), np.bool_)
        failed[layout.rows[np.isnan(step.log_z)]] = True  # no word can be trusted
        together = ~failed
        together[list(own)] = False
        growth, endings = self._select(step, layout, together)
        self._end(endings)
        stuck = together & (growth.counts == 0)
        stuck[endings.rows] = False
        for row in np.flatnonzero(stuck).tolist():  # there is nothing left that may be said
            self._cut(row, range(layout.counts[row]))
        for row, unshaped in own.items():
            if not failed[row]:
                enter(growth, row, self._choose(row, unshaped, step, layout))
        self._histories.grow(growth)
        for number, one in enumerate(self._rows):
            if one.looks is not None:
                one.looks.grow(growth.parents[number, : growth.counts[number]].tolist())
        return self._conclude(growth, layout, failed)

    def _settle_in(self) -> None:
        """Give rows that have begun a place behind the others."""
        new = len(self._rows) - len(self._bars)
        if new:
            self._histories.join(new)
            self._bars = np.concatenate([self._bars, np.full(new, NEVER)])
            self._rearrange()
        self._histories.fit(self._widest)

    def _keep(self, staying: Bools) -> None:
        rows = np.flatnonzero(staying)
        self._rows = [self._rows[row] for row in rows.tolist()]
        self._histories.keep(rows)
        self._bars = self._bars[rows]
        self._rearrange()

    def _rearrange(self) -> None:
        specs = [row.wish.spec for row in self._rows]
        ends = [row.wish.end for row in self._rows]
        self._widths = np.array([spec.beam_size for spec in specs], np.int64)
        self._longest = np.array([spec.max_tokens for spec in specs], np.int64)
        self._ends = np.array([_NONE if end is None else end for end in ends], np.int64)
        self._penalties = np.array([spec.length_penalty for spec in specs])
        self._widest = int(self._widths.max(initial=1))
        wishes = [row.wish for row in self._rows]
        self._shaped = [number for number, wish in enumerate(wishes) if is_shaped(wish)]
        self._alike = len({wish.never for wish in wishes}) == 1
        self._bans = None

    def _look(self, attention: Tensor, layout: _Layout) -> None:
        for number, row in enumerate(self._rows):
            if row.looks is not None:
                row.looks.look(attention[layout.of(number)].float().cpu().numpy())

    def _own_turns(self, logits: Tensor, layout: _Layout) -> dict[int, Tensor | None]:
        """Return the rows that choose for themselves; with their logits, where they force words."""
        said = self._histories.said.tolist()
        own: dict[int, Tensor | None] = {}
        for number, row in enumerate(self._rows):
            if said[number] < len(row.wish.prefix) or row.wish.required:
                own[number] = logits[layout.of(number)].clone()
            elif row.chooser is not None:
                own[number] = None
        return own

    def _step(self, logits: Tensor, layout: _Layout) -> Step:
        """Make impossible what is forbidden, and find the best of what is left."""
        z = log_z(logits)  # (N,), before anything is forbidden
        self._bans_of(layout).apply(logits)
        if self._shaped:
            lines = np.flatnonzero(np.isin(layout.rows, self._shaped)).tolist()
            wishes = [self._rows[row].wish for row in layout.rows.tolist()]
            words: list[Sequence[int]] = [()] * len(wishes)
            for line in lines:
                row, place = int(layout.rows[line]), int(layout.places[line])
                words[line] = self._histories.words_of(row, place)
            shape(logits, z, lines, wishes, words)
        values, ids = best_of(logits, 2 * self._widest)  # enough, for one word of each may end it
        sums = z.cpu().numpy()
        log_probs = values.cpu().numpy() - sums[:, None]  # (N, C), in float64 as the sums are
        return Step(logits, log_probs, ids.cpu().numpy(), sums)

    def _bans_of(self, layout: _Layout) -> Bans:
        counts = () if self._alike else tuple(layout.counts.tolist())
        if self._bans is None or self._bans[0] != counts:
            rows = [0] if self._alike else layout.rows.tolist()
            some = [self._rows[row].wish for row in rows]
            self._bans = counts, Bans(some)
        return self._bans[1]

    def _select(self, step: Step, layout: _Layout, together: Bools) -> tuple[Growth, Endings]:
        """Let the rows choose that do so ``together`` (R,)."""
        live = self._histories.totals  # (R, K)
        each = step.words.shape[1]
        if len(step.words) == live.size:  # each beam is full
            totals = live[:, :, None] + step.log_probs.reshape(*live.shape, each)
        else:
            totals = np.full((*live.shape, each), NEVER)
            at = layout.rows, layout.places
            totals[at] = live[at][:, None] + step.log_probs
        if not together.all():
            totals[~together] = NEVER
        return select(totals, step, firsts=layout.firsts, widths=self._widths, ends=self._ends)

    def _end(self, endings: Endings) -> None:
        """Finish hypotheses that say their end sign, those that can still count."""
        lengths = self._histories.said[endings.rows] + 1
        scores = endings.totals / lengths ** self._penalties[endings.rows]
        counting = scores > self._bars[endings.rows]  # what it left unread can but cost
        for number in np.flatnonzero(counting).tolist():
            row, parent = int(endings.rows[number]), int(endings.parents[number])
            total, log_prob = float(endings.totals[number]), float(endings.log_probs[number])
            self._finish(row, parent, Extension(parent, int(self._ends[row]), total, log_prob))

    def _choose(self, number: int, unshaped: Tensor | None, step: Step, layout: _Layout) -> Choice:
        """Let a row choose for itself, and finish what it ends."""
        row, lines, histories = self._rows[number], layout.of(number), self._histories
        turn = Turn(
            step,
            lines.start,
            histories.totals[number, : layout.counts[number]].tolist(),
            [histories.words_of(number, place) for place in range(layout.counts[number])],
            score=row.score_of(int(histories.said[number]) + 1),
            promise=row.score_of(int(histories.said[number]) + 2),
            forced=partial(_forced, unshaped, step.log_z[lines]),
        )
        choice = row.choose(turn)
        for one in choice.ended:
            self._finish(number, one.parent, one)
        self._cut(number, choice.cut)
        return choice

    def _finish(self, number: int, place: int, by: Extension | None) -> None:
        """Finish a hypothesis ``by`` what it says last, or as it is."""
        row, histories = self._rows[number], self._histories
        words, log_probs = histories.words_of(number, place), histories.log_probs_of(number, place)
        total = float(histories.totals[number, place])
        if row.finish(place, words, log_probs, total, by):
            histories.note_best(number, row.finished.best[0].tokens)
        self._bars[number] = row.finished.bar

    def _cut(self, number: int, places: Collection[int]) -> None:
        for place in places:
            self._finish(number, place, None)

    def _conclude(self, growth: Growth, layout: _Layout, failed: Bools) -> Advance:
        """Let go of rows that are done; return what goes on."""
        histories, counts = self._histories, growth.counts
        full = ~failed & (counts > 0) & (histories.said >= self._longest)
        for number in np.flatnonzero(full).tolist():
            self._cut(number, range(counts[number]))
        done = failed | full | (counts == 0) | (self._bars >= self._promises(growth))
        told = [
            (self._rows[number].key, words)
            for number, words in histories.tell()
            if not done[number]
        ]
        staying = ~done[:, None] & (np.arange(counts.max(initial=0)) < counts[:, None])
        at = staying.nonzero()
        parents = layout.firsts[at[0]] + growth.parents[at]
        words = growth.words[at]
        gone = [(number, self._rows[number]) for number in np.flatnonzero(done).tolist()]
        ended = [(row.key, [] if failed[number] else row.finished.best) for number, row in gone]
        if gone:
            self._keep(~done)
        return Advance(parents.tolist(), words.tolist(), told, ended)

    def _promises(self, growth: Growth) -> Floats:
        """Return what the live hypotheses of each row promise (R,): their score if they end next.

        That is at best, with an end that costs nothing. How many have ended says nothing: beside
        one sure hypothesis, most of those that end early are noise. Only a beam of 1 is done with
        the first, which was the likeliest: it promises no more than its score as it is.
        """
        lengths = self._histories.said + (self._widths > 1)
        promises = growth.totals[:, 0] / lengths**self._penalties
        for number, row in enumerate(self._rows):
            if row.chooser is not None:  # which lets go of what promises nothing
                promises[number] = np.inf
            elif row.looks is not None:
                live = growth.totals[number, : growth.counts[number]].tolist()
                length = int(lengths[number])
                scores = (row.score(k, one, length, now=False) for k, one in enumerate(live))
                promises[number] = max(scores, default=NEVER)
        return promises


def _forced(unshaped: Tensor | None, log_z: Floats, parent: int, word: int) -> float:
    """Return log p of a word of a hypothesis, as the model has it; of UNK if it has none."""
    if unshaped is None:
        return NEVER
    value = unshaped[parent, word].item() if word < unshaped.size(1) else NEVER
    return (value if value > NEVER else unshaped[parent, UNK].item()) - float(log_z[parent])
