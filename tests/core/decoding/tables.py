"""A table of transitions that stands in for a model."""

import torch
from torch import Tensor


class Table:
    """What follows depends only on the word before and on the first source token."""

    def __init__(self, log_probs: Tensor) -> None:
        """``log_probs`` (sources, V, V): what follows each word, for each first source token."""
        self.log_probs = log_probs

    def start(self, source: Tensor, source_mask: Tensor) -> Tensor:
        return source[:, 0]

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.log_probs[state, tokens].clone(), state

    def select(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]


def random_table(sources: int, words: int, seed: int) -> Table:
    """A table over the five specials and ``words`` more."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(sources, 5 + words, 5 + words, generator=generator) * 1.5
    return Table(logits.log_softmax(-1))
