"""Greedy search: the likeliest word at every step, for many rows at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.decoding.step import Hypothesis, OnToken, StateT, StepModel, forbid, normalised
from core.specs import DecodeSpec
from core.text.tokenizer import BOS, EOS, PAD, SEP


@dataclass(slots=True)
class _Row:
    """One source on its way."""

    index: int
    spec: DecodeSpec
    words: list[int] = field(default_factory=list)
    log_prob: float = 0.0

    def take(self, token: int, log_prob: float) -> Hypothesis | None:
        """Append ``token``; return the hypothesis if that was its end."""
        self.log_prob += log_prob
        ended = token == EOS
        if not ended:
            self.words.append(token)
            if len(self.words) < self.spec.max_tokens:
                return None
        score = normalised(self.log_prob, len(self.words) + ended, self.spec.length_penalty)
        return Hypothesis(tuple(self.words), self.log_prob, score, ended)


@torch.inference_mode()
def greedy(
    model: StepModel[StateT],
    source: Tensor,
    source_mask: Tensor,
    *,
    specs: Sequence[DecodeSpec],
    on_token: OnToken | None = None,
) -> list[Hypothesis]:
    """Decode each row of ``source`` (B, S); a row leaves the batch as soon as it has ended.

    Of each row's spec, the longest length and the length penalty of its score are obeyed.
    """
    rows = [_Row(index, spec) for index, spec in enumerate(specs)]
    done: dict[int, Hypothesis] = {}
    state = model.start(source, source_mask)
    tokens = torch.full((len(rows),), BOS, dtype=torch.int64, device=source.device)
    while rows:
        log_probs, state = model.step(tokens, state)
        values, tokens = forbid(log_probs, (PAD, BOS, SEP)).max(-1)
        staying = []
        chosen = zip(rows, tokens.tolist(), values.tolist(), strict=True)
        for place, (row, token, value) in enumerate(chosen):
            if token != EOS and on_token is not None:
                on_token(row.index, token)
            hypothesis = row.take(token, value)
            if hypothesis is None:
                staying.append(place)
            else:
                done[row.index] = hypothesis
        if len(staying) < len(rows):
            rows = [rows[place] for place in staying]
            places = torch.tensor(staying, dtype=torch.int64, device=source.device)
            tokens, state = tokens[places], model.select(state, places)
    return [done[index] for index in range(len(specs))]
