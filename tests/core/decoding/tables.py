"""A table of transitions that stands in for a model, and wishes that need no vocabulary."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.decoding.step import SIGNS, Wish
from core.specs import DecodeSpec
from core.text.tokenizer import BOS, EOS


class Table:
    """What follows depends only on the word before and on the first source token."""

    tells_attention = False

    def __init__(self, log_probs: Tensor) -> None:
        """``log_probs`` (sources, V, V): what follows each word, for each first source token."""
        self.log_probs = log_probs

    def start(self, source: Tensor, source_mask: Tensor) -> Tensor:
        return source[:, 0]

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, None, Tensor]:
        return self.log_probs[state, tokens].clone(), None, state

    def select(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]

    def join(self, states: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(states))


def random_table(sources: int, words: int, seed: int) -> Table:
    """A table over the five specials and ``words`` more."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(sources, 5 + words, 5 + words, generator=generator) * 1.5
    return Table(logits.log_softmax(-1))


def plainly(
    specs: Sequence[DecodeSpec],
    *,
    banned: Sequence[Sequence[int]] | None = None,
    first: Sequence[int] | None = None,
    end: int | None = EOS,
    signs: tuple[int, ...] = SIGNS,
) -> list[Wish]:
    """Return a wish for each of ``specs``; ``banned`` and ``first`` have one entry for each."""
    bans = [()] * len(specs) if banned is None else banned
    firsts = [BOS] * len(specs) if first is None else first
    return [
        Wish(spec=spec, first=start, end=end, never=(*signs, *ban))
        for spec, start, ban in zip(specs, firsts, bans, strict=True)
    ]
