"""Beam search: the best few sequences of each row, rows of different widths in one batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.decoding.step import (
    NEVER,
    Hypothesis,
    OnToken,
    StateT,
    StepModel,
    Wish,
    forbid,
    normalised,
)
from core.specs import DecodeSpec


@dataclass(slots=True)
class _Row:
    """One source on its way: its live hypotheses, best first, and the finished ones."""

    index: int
    wish: Wish
    live: list[tuple[tuple[int, ...], float]] = field(default_factory=lambda: [((), 0.0)])
    finished: list[Hypothesis] = field(default_factory=list)
    told: int = 0  # how many tokens have been called certain

    @property
    def spec(self) -> DecodeSpec:
        """How it wants to be searched for."""
        return self.wish.spec

    def finish(self, tokens: tuple[int, ...], log_prob: float, *, ended: bool) -> None:
        """Move a hypothesis to the finished ones."""
        score = normalised(log_prob, len(tokens) + ended, self.spec.length_penalty)
        self.finished.append(Hypothesis(tokens, log_prob, score, ended))

    def settled(self) -> bool:
        """Whether nothing that is still growing promises more than what has ended.

        What a live hypothesis promises is its score at its present length. How many have ended
        says nothing: beside one sure hypothesis, most of those that end early are noise.
        """
        if not self.live or len(self.live[0][0]) >= self.spec.max_tokens:
            return True
        if len(self.finished) < self.spec.n_best:
            return False
        tokens, log_prob = self.live[0]
        promise = normalised(log_prob, len(tokens), self.spec.length_penalty)
        return sorted(one.score for one in self.finished)[-self.spec.n_best] >= promise

    def best(self) -> list[Hypothesis]:
        """Return the ``n_best``, best first; what was cut off competes by its score so far."""
        for tokens, log_prob in self.live:
            self.finish(tokens, log_prob, ended=False)
        return sorted(self.finished, key=lambda one: -one.score)[: self.spec.n_best]

    def certain(self) -> tuple[int, ...]:
        """Return the start that every hypothesis which may still become the best shares."""
        running = [tokens for tokens, _ in self.live]
        if self.finished:
            running.append(max(self.finished, key=lambda one: one.score).tokens)
        low, high = min(running), max(running)
        same = 0
        while same < min(len(low), len(high)) and low[same] == high[same]:
            same += 1
        return low[:same]


@torch.inference_mode()
def beam(
    model: StepModel[StateT],
    source: Tensor,
    source_mask: Tensor,
    *,
    wishes: Sequence[Wish],
    on_token: OnToken | None = None,
) -> list[list[Hypothesis]]:
    """Decode each row of ``source`` (B, S) as it wishes; n-best lists, best first, distinct.

    ``on_token`` hears a token of a row once every hypothesis in the running agrees on it, so
    what it hears is the start of what is returned. Hypotheses of all rows share each step.
    """
    rows = [_Row(index, wish) for index, wish in enumerate(wishes)]
    answers: list[list[Hypothesis]] = [[] for _ in rows]
    state = model.start(source, source_mask)
    tokens = torch.tensor([wish.first for wish in wishes], device=source.device)
    while rows:
        log_probs, state = model.step(tokens, state)
        parents, words = _grow(rows, forbid(log_probs, _never(rows)))
        staying = []
        places: list[int] = []
        following: list[int] = []
        for row, row_parents, row_words in zip(rows, parents, words, strict=True):
            if row.settled():
                answers[row.index] = row.best()
                _tell(row, answers[row.index][0].tokens, on_token)
                continue
            _tell(row, row.certain(), on_token)
            staying.append(row)
            places += row_parents
            following += row_words
        rows = staying
        if rows:
            state = model.select(state, torch.tensor(places, device=source.device))
            tokens = torch.tensor(following, device=source.device)
    return answers


def _never(rows: Sequence[_Row]) -> list[tuple[int, ...]]:
    """Return what is not to be said, for each live hypothesis."""
    return [row.wish.never for row in rows for _ in row.live]


def _grow(rows: list[_Row], log_probs: Tensor) -> tuple[list[list[int]], list[list[int]]]:
    """Extend every row by one word; ``log_probs`` (N, V) has a line for each live hypothesis.

    Returns, for each row, the lines that its new live hypotheses grew from, and their new words.
    """
    widest = max(row.spec.beam_size for row in rows)
    count = min(2 * widest, log_probs.size(1))
    values, words = log_probs.topk(count, dim=-1)  # (N, 2K): enough, for one word in each may end
    table = list(zip(values.tolist(), words.tolist(), strict=True))
    parents: list[list[int]] = []
    chosen: list[list[int]] = []
    line = 0
    for row in rows:
        lines = len(row.live)
        grown = _grow_row(row, table[line : line + lines])
        parents.append([line + parent for parent, _ in grown])
        chosen.append([word for _, word in grown])
        line += lines
    return parents, chosen


def _grow_row(row: _Row, table: list[tuple[list[float], list[int]]]) -> list[tuple[int, int]]:
    """Keep the best extensions of ``row``, move those that end to the finished ones.

    ``table`` has the best (log probabilities, words) for each live hypothesis. Returns
    (parent, word) for each hypothesis that lives on.
    """
    width = row.spec.beam_size
    extensions = sorted(
        (
            (row.live[parent][1] + value, parent, word)
            for parent, (values, words) in enumerate(table)
            for value, word in zip(values[: 2 * width], words[: 2 * width], strict=True)
            if value > NEVER
        ),
        key=lambda extension: -extension[0],
    )
    grown: list[tuple[int, int]] = []
    live: list[tuple[tuple[int, ...], float]] = []
    for rank, (log_prob, parent, word) in enumerate(extensions[: 2 * width]):
        tokens = row.live[parent][0]
        if word == row.wish.end:
            if rank < width:  # an end that loses to better extensions is not taken early
                row.finish(tokens, log_prob, ended=True)
        elif len(live) < width:
            live.append(((*tokens, word), log_prob))
            grown.append((parent, word))
    if not extensions:  # there is nothing left that may be said
        for tokens, log_prob in row.live:
            row.finish(tokens, log_prob, ended=False)
    row.live = live
    return grown


def _tell(row: _Row, tokens: tuple[int, ...], on_token: OnToken | None) -> None:
    """Report the tokens that have become certain since the last time."""
    if on_token is not None:
        for token in tokens[row.told :]:
            on_token(row.index, token)
    row.told = max(row.told, len(tokens))
