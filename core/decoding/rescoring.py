"""How likely a model finds sequences that are given, and n-best lists ranked anew by that.

Sizes: B rows, S source steps, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from core.decoding.step import Hypothesis, StateT, StepModel, normalised
from core.specs import DecodeSpec
from core.text.tokenizer import BOS, EOS, PAD, UNK


@torch.inference_mode()
def log_probs_of(
    model: StepModel[StateT],
    source: Tensor,
    source_mask: Tensor,
    sequences: Sequence[Hypothesis],
) -> list[float]:
    """Return log p of each of ``sequences`` given its row of ``source`` (B, S), ends included.

    Words that a source alone can bring along are unknown to another one, and count as such.
    """
    words = [[*one.tokens, *([EOS] if one.ended else [])] for one in sequences]
    longest = max(map(len, words), default=0)
    padded = torch.tensor([one + [PAD] * (longest - len(one)) for one in words])
    heard = torch.full((len(words),), BOS, device=source.device)
    totals = torch.zeros(len(words), device=source.device)
    state = model.start(source, source_mask)
    for step in range(longest):
        log_probs, state = model.step(heard, state)
        gold = padded[:, step].to(source.device)
        gold = torch.where(gold < log_probs.size(1), gold, UNK)
        said = log_probs.gather(1, gold.unsqueeze(1)).squeeze(1)
        totals += torch.where(gold == PAD, 0.0, said)
        heard = gold
    return totals.tolist()


def without_the_generic(
    model: StepModel[StateT],
    answers: Sequence[Sequence[Hypothesis]],
    specs: Sequence[DecodeSpec],
    *,
    device: torch.device,
) -> list[list[Hypothesis]]:
    """Rank each list anew: what would be said to anybody loses by how likely that is.

    The score of an answer T to S becomes log p(T | S) - ``anti_generic`` * log p(T), over length
    to the power of its penalty; p(T) is what the model says to a source that it knows nothing of.
    Lists whose spec does not ask for it stay as they are.
    Source: Li et al. 2016, "A Diversity-Promoting Objective Function", eq. 9.
    """
    asked = [row for row, spec in enumerate(specs) if spec.anti_generic]
    every = [one for row in asked for one in answers[row]]
    if not every:
        return [list(some) for some in answers]
    source = torch.full((len(every), 1), UNK, device=device)
    anyway = iter(log_probs_of(model, source, source != PAD, every))
    ranked = [list(some) for some in answers]
    for row in asked:
        spec = specs[row]
        scored = [_against(one, next(anyway), spec) for one in answers[row]]
        ranked[row] = sorted(scored, key=lambda one: -one.score)
    return ranked


def _against(one: Hypothesis, anyway: float, spec: DecodeSpec) -> Hypothesis:
    special = one.log_prob - spec.anti_generic * anyway
    length = len(one.tokens) + one.ended
    return replace(one, score=normalised(special, length, spec.length_penalty))
