"""A pool driven over a table, without an engine: requests join and leave when a test says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import torch
from torch import Tensor

from core.decoding.beams import Beams
from core.decoding.step import Hypothesis, Wish, normalised
from core.text.tokenizer import EOS
from tests.core.decoding.tables import Table


@dataclass
class Drive:
    """What came of the requests that were driven."""

    answers: dict[int, list[Hypothesis]] = field(default_factory=dict)
    told: dict[int, tuple[int, ...]] = field(default_factory=dict)
    widths: list[int] = field(default_factory=list)  # lines in each step


class Staring(Table):
    """A table that looks somewhere: at which of its 4 source tokens depends on the word before."""

    tells_attention = True

    def __init__(self, log_probs: Tensor, seed: int) -> None:
        super().__init__(log_probs)
        generator = torch.Generator().manual_seed(seed)
        self.looks = (torch.randn(log_probs.size(1), 4, generator=generator) * 2).softmax(-1)

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, _, state = super().step(tokens, state)
        padded = torch.nn.functional.pad(self.looks[tokens], (0, 3))
        return logits, padded, state


def drive(
    table: Table,
    wishes: Mapping[int, Wish],
    *,
    sources: Mapping[int, int] | None = None,
    joining: Mapping[int, int] | None = None,
    leaving: Mapping[int, int] | None = None,
    broken: Mapping[int, int] | None = None,
    source_length: int = 4,
) -> Drive:
    """Run ``wishes`` by their keys; ``joining`` and ``leaving`` say in which step.

    The logits of a source in ``broken`` are no numbers from the step on that it names.
    """
    pool, drive_ = Beams(), Drive()
    joining, leaving, broken = joining or {}, leaving or {}, broken or {}
    state, heard = torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
    waiting, step = dict(wishes), 0
    while waiting or pool.lines:
        gone = [key for key, when in leaving.items() if when == step]
        staying = pool.leave(gone)
        state, heard = state[staying], heard[staying]
        for key in [key for key in waiting if joining.get(key, 0) <= step]:
            wish = waiting.pop(key)
            lines = pool.begin(key, wish, source_length)
            source = torch.full((lines,), key if sources is None else sources[key])
            state = torch.cat([state, source])
            heard = torch.cat([heard, torch.full((lines,), wish.first)])
        step += 1
        if not pool.lines:
            continue
        drive_.widths.append(pool.lines)
        logits, attention, state = table.step(heard, state)
        for source, when in broken.items():
            if step > when:
                logits[state == source] = torch.nan
        advance = pool.advance(logits, attention)
        for key, tokens in advance.told:
            drive_.told[key] = drive_.told.get(key, ()) + tokens
        drive_.answers.update(advance.ended)
        state = table.select(state, torch.tensor(advance.parents, dtype=torch.int64))
        heard = torch.tensor(advance.words, dtype=torch.int64)
        assert pool.lines == len(advance.words)
    return drive_


def alone(table: Table, wish: Wish, source: int = 0) -> list[Hypothesis]:
    """Return what one request is answered with nobody beside it."""
    return drive(table, {0: wish}, sources={0: source}).answers[0]


def every_sequence(table: Table, wish: Wish, source: int = 0) -> list[Hypothesis]:
    """Return all that could be said, best first, scored word by word; what is too long is cut."""
    log_probs = table.log_probs[source].double().log_softmax(-1).tolist()
    spec = wish.spec
    never = {EOS, *wish.never}
    words = [word for word in range(len(log_probs)) if word not in never]
    found = []
    for length in range(spec.max_tokens + 1):
        for tokens in product(words, repeat=length):
            total = _sum(log_probs, tokens, wish.first)
            ended = length < spec.max_tokens
            if ended:
                total += log_probs[tokens[-1] if tokens else wish.first][EOS]
            score = normalised(total, length + ended, spec.length_penalty)
            found.append(Hypothesis(tokens, total, score, ended))
    return sorted(found, key=lambda one: -one.score)


def _sum(log_probs: Sequence[Sequence[float]], tokens: Sequence[int], first: int) -> float:
    before = (first, *tokens)
    return sum(log_probs[a][b] for a, b in zip(before, tokens, strict=False))
