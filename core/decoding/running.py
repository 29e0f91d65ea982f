"""A running batch: requests join and leave it between two steps, whatever they ask for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from core.data.batches import pad_sources
from core.decoding.beams import Beams
from core.decoding.best import log_z
from core.decoding.requests import Request
from core.decoding.singles import Singles
from core.decoding.step import Advance, Finder, Hypothesis, Pool, StateT, StepModel, Wish

RAGGED = 64  # steps that sources read together may differ in, besides being twice as long


@dataclass(frozen=True, slots=True)
class Opening(Generic[StateT]):
    """Requests whose sources have been read, and the state before their first words."""

    requests: list[Request]
    state: StateT

    def split(
        self, model: StepModel[StateT], count: int
    ) -> "tuple[Opening[StateT], Opening[StateT]]":
        """Return the first ``count`` of them, and the others."""
        rows = torch.arange(len(self.requests))
        with torch.inference_mode():
            first, rest = (model.select(self.state, part) for part in (rows[:count], rows[count:]))
        return Opening(self.requests[:count], first), Opening(self.requests[count:], rest)


def read_sources(
    model: StepModel[StateT], requests: Sequence[Request], device: torch.device
) -> list[Opening[StateT]]:
    """Read the sources of ``requests``, those of similar length together."""
    with torch.inference_mode():
        openings = []
        for alike in _of_similar_length(requests):
            source, mask = (part.to(device) for part in pad_sources([r.source for r in alike]))
            state = model.start(source, mask)
            if isinstance(model, Finder):
                state = model.permit(state, [request.wish.permitted for request in alike])
            openings.append(Opening(alike, state))
        return openings


def _of_similar_length(requests: Sequence[Request]) -> list[list[Request]]:
    groups: list[list[Request]] = []
    for request in sorted(requests, key=lambda one: -len(one.source)):
        if not groups or len(groups[-1][0].source) > 2 * len(request.source) + RAGGED:
            groups.append([])
        groups[-1].append(request)
    return groups


class RunningBatch(Generic[StateT]):
    """Lines that take each step together; what one request asks for is no other's concern.

    The lines of a pool stand anywhere among the lines of the state: ``where`` says at which.
    """

    def __init__(self, model: StepModel[StateT], device: torch.device) -> None:
        self.requests: dict[int, Request] = {}
        self._model = model
        self._finder = model if isinstance(model, Finder) else None
        self._device = device
        self._state: StateT | None = None
        self._tokens: Tensor = torch.empty(0, dtype=torch.int64, device=device)  # heard next
        self._singles = Singles()
        self._pools: tuple[Pool, ...] = (self._singles, Beams())
        self._where: list[list[int]] = [[] for _ in self._pools]

    @property
    def lines(self) -> int:
        """How many lines it has now."""
        return self._tokens.size(0)

    @torch.inference_mode()
    def join(self, opening: Opening[StateT]) -> None:
        """Take requests in, whose sources have been read; all of them, or none if this raises."""
        requests = opening.requests
        counts = [request.first_lines for request in requests]
        rows = [row for row, count in enumerate(counts) for _ in range(count)]
        state = opening.state
        if len(rows) > len(requests):
            state = self._model.select(state, self._ids(rows))
        self._state = state if self._state is None else self._model.join([self._state, state])
        line = self.lines
        for request, count in zip(requests, counts, strict=True):
            pool = _pool_of(request.wish)
            self._pools[pool].begin(request.key, request.wish, max(len(request.source), 1))
            self._where[pool] += range(line, line + count)
            self.requests[request.key] = request
            line += count
        firsts = [requests[row].wish.first for row in rows]
        self._tokens = torch.cat([self._tokens, self._ids(firsts)])

    @torch.inference_mode()
    def leave(self, keys: Collection[int]) -> None:
        """Forget requests between two steps."""
        rows: list[int] = []
        for number, pool in enumerate(self._pools):
            where = self._where[number]
            staying = [where[place] for place in pool.leave(keys)]
            self._where[number] = list(range(len(rows), len(rows) + len(staying)))
            rows += staying
        for key in keys:
            self.requests.pop(key, None)
        self._tokens = self._tokens[self._ids(rows)]
        self._arrange(self._state, rows)

    @torch.inference_mode()
    def step(self) -> list[Advance]:
        """Let every line take one step; return what the pools have to tell."""
        if self._state is None:
            return []
        never = self._singles.never if len(self._where[0]) == self.lines else None
        if self._finder is not None and never is not None:
            return self._find(self._finder, self._state, never)
        logits, attention, state = self._model.step(self._tokens, self._state)
        advances = {
            number: pool.advance(*self._part(logits, attention, self._where[number]))
            for number, pool in enumerate(self._pools)
            if pool.lines
        }
        return self._go_on(advances, state)

    def _find(self, model: Finder[StateT], state: StateT, never: Tensor) -> list[Advance]:
        """Take a step of lines that are asked for nothing but their likeliest word."""
        measure = log_z if self._singles.needs_z else None
        values, words, attention, state = model.best(self._tokens, state, never, measure)
        return self._go_on({0: self._singles.follow(values, words, attention)}, state)

    def _go_on(self, advances: Mapping[int, Advance], state: StateT) -> list[Advance]:
        """Keep the lines that go on, by what each of some pools has to tell, and return that."""
        rows: list[int] = []
        words: list[int] = []
        for number, advance in advances.items():
            where = self._where[number]
            self._where[number] = list(range(len(rows), len(rows) + len(advance.parents)))
            rows += [where[parent] for parent in advance.parents]
            words += advance.words
            for key, _ in advance.ended:
                del self.requests[key]
        lines, self._tokens = self.lines, self._ids(words)
        self._arrange(state, rows, lines=lines)
        return list(advances.values())

    def _part(
        self, logits: Tensor, attention: Tensor | None, where: list[int]
    ) -> tuple[Tensor, Tensor | None]:
        """Return what concerns the lines ``where``, as tensors of their own."""
        if len(where) == logits.size(0) and where == list(range(len(where))):
            return logits, attention
        places = self._ids(where)
        return logits[places], None if attention is None else attention[places]

    def _arrange(self, state: StateT | None, rows: list[int], lines: int | None = None) -> None:
        """Keep ``rows`` of ``state``, which has so many ``lines``."""
        if state is None or not rows:
            self._state = None
        elif lines == len(rows) and rows == list(range(lines)):
            self._state = state
        else:
            self._state = self._model.select(state, self._ids(rows))

    def _ids(self, numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.int64, device=self._device)


def _pool_of(wish: Wish) -> int:
    """Return which pool searches for it: beams, or lines by themselves."""
    return int(wish.spec.beam_size > 1 and not wish.scripts)


def told_by(advances: Sequence[Advance]) -> list[tuple[int, tuple[int, ...]]]:
    """Return all that is told of requests that go on or end: (key, tokens)."""
    return [told for advance in advances for told in advance.told]


def ended_by(advances: Sequence[Advance]) -> list[tuple[int, list[Hypothesis]]]:
    """Return all that has ended: (key, hypotheses)."""
    return [ended for advance in advances for ended in advance.ended]
