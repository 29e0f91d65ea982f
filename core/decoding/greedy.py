"""Greedy search: the likeliest word at every step, for many rows at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.decoding.step import Hypothesis, OnToken, StateT, StepModel, forbid, normalised
from core.text.tokenizer import BOS, EOS, PAD, SEP


@torch.inference_mode()
def greedy(
    model: StepModel[StateT],
    source: Tensor,
    source_mask: Tensor,
    *,
    max_tokens: Sequence[int],
    length_penalty: Sequence[float],
    on_token: OnToken | None = None,
) -> list[Hypothesis]:
    """Decode each row of ``source`` (B, S); a row leaves the batch as soon as it has ended.

    ``max_tokens`` and ``length_penalty`` hold one value for each row.
    """
    size = source.size(0)
    words: list[list[int]] = [[] for _ in range(size)]
    log_prob = [0.0] * size
    done: dict[int, Hypothesis] = {}
    rows = list(range(size))
    state = model.start(source, source_mask)
    tokens = torch.full((size,), BOS, dtype=torch.int64, device=source.device)
    while rows:
        log_probs, state = model.step(tokens, state)
        best, tokens = forbid(log_probs, (PAD, BOS, SEP)).max(-1)
        kept = []
        for place, (row, token, value) in enumerate(
            zip(rows, tokens.tolist(), best.tolist(), strict=True)
        ):
            log_prob[row] += value
            if token != EOS:
                words[row].append(token)
                if on_token is not None:
                    on_token(row, token)
            if token == EOS or len(words[row]) >= max_tokens[row]:
                ended = token == EOS
                score = normalised(log_prob[row], len(words[row]) + ended, length_penalty[row])
                done[row] = Hypothesis(tuple(words[row]), log_prob[row], score, ended)
            else:
                kept.append(place)
        if len(kept) < len(rows):
            rows = [rows[place] for place in kept]
            places = torch.tensor(kept, dtype=torch.int64, device=source.device)
            tokens = tokens[places]
            if rows:
                state = model.select(state, places)
    return [done[row] for row in range(size)]
