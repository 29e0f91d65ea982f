"""One word at a time: the likeliest, or one by its chance, for many rows at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.decoding.sampling import draw_coins, sample
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


@dataclass(slots=True)
class _Row:
    """One source on its way."""

    index: int
    wish: Wish
    words: list[int] = field(default_factory=list)
    log_prob: float = 0.0
    coins: Tensor | None = None  # (max_tokens,), where it samples

    def take(self, token: int, log_prob: float) -> Hypothesis | None:
        """Append ``token``; return the hypothesis if that was its end.

        A row that may say nothing at all has come to its end too.
        """
        ended = token == self.wish.end
        if log_prob > NEVER:
            self.log_prob += log_prob
            if not ended:
                self.words.append(token)
            if not ended and len(self.words) < self.wish.spec.max_tokens:
                return None
        penalty = self.wish.spec.length_penalty
        score = normalised(self.log_prob, len(self.words) + ended, penalty)
        return Hypothesis(tuple(self.words), self.log_prob, score, ended)


@torch.inference_mode()
def greedy(
    model: StepModel[StateT],
    source: Tensor,
    source_mask: Tensor,
    *,
    wishes: Sequence[Wish],
    on_token: OnToken | None = None,
) -> list[Hypothesis]:
    """Decode each row of ``source`` (B, S); a row leaves the batch as soon as it has ended.

    A row whose spec has a temperature samples, by coins of its own; the others take the
    likeliest word. ``on_token`` hears each word at once.
    """
    rows = [_row(index, wish) for index, wish in enumerate(wishes)]
    done: dict[int, Hypothesis] = {}
    state = model.start(source, source_mask)
    tokens = torch.tensor([wish.first for wish in wishes], device=source.device)
    while rows:
        log_probs, state = model.step(tokens, state)
        values, tokens = _choose(forbid(log_probs, [row.wish.never for row in rows]), rows)
        staying = []
        chosen = zip(rows, tokens.tolist(), values.tolist(), strict=True)
        for place, (row, token, value) in enumerate(chosen):
            said = len(row.words)
            hypothesis = row.take(token, value)
            if len(row.words) > said and on_token is not None:
                on_token(row.index, token)
            if hypothesis is None:
                staying.append(place)
            else:
                done[row.index] = hypothesis
        if len(staying) < len(rows):
            rows = [rows[place] for place in staying]
            places = torch.tensor(staying, dtype=torch.int64, device=source.device)
            tokens, state = tokens[places], model.select(state, places)
    return [done[index] for index in range(len(wishes))]


def _row(index: int, wish: Wish) -> _Row:
    spec = wish.spec
    if spec.temperature is None:
        return _Row(index, wish)
    return _Row(index, wish, coins=draw_coins(spec.seed, spec.max_tokens))


def _choose(log_probs: Tensor, rows: Sequence[_Row]) -> tuple[Tensor, Tensor]:
    """Return what each row says next: log probabilities (N,) and tokens (N,)."""
    values, tokens = log_probs.max(-1)
    sampling = [place for place, row in enumerate(rows) if row.coins is not None]
    if not sampling:
        return values, tokens
    places = torch.tensor(sampling, device=log_probs.device)
    coins = [float(row.coins[len(row.words)]) for row in rows if row.coins is not None]
    temperatures = [row.wish.spec.temperature for row in rows if row.coins is not None]
    lines = log_probs[places]  # (N, V)
    drawn = sample(lines, _column(temperatures, lines), _column(coins, lines))
    drawn = drawn.where(values[places] > NEVER, tokens[places])  # nothing may be said: no chances
    tokens[places] = drawn
    values[places] = lines.gather(1, drawn.unsqueeze(1)).squeeze(1)
    return values, tokens


def _column(numbers: Sequence[float | None], like: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64, device=like.device)
