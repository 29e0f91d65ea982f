"""Sampling: words by their chance, so that what is unlikely is said now and then.

Sizes: N lines, V vocabulary.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def draw_coins(seed: int, count: int) -> Tensor:
    """Return ``count`` numbers in [0, 1), one for each step of a line.

    They depend on the seed alone, so the same request says the same, whoever keeps it company.
    """
    generator = torch.Generator().manual_seed(seed)
    # 24 bits each: in float64 one times a sum stays below that sum
    return torch.rand(count, generator=generator).double()


def sample(
    logits: Tensor,
    temperatures: Sequence[float],
    top_ks: Sequence[int | None],
    top_ps: Sequence[float | None],
    coins: Sequence[float],
) -> Tensor:
    """Return an id (N,) for each line of ``logits`` (N, V), each by options of its own.

    A temperature below 1 makes the likely likelier. After that only the ``top_k`` likeliest words
    count, and of these the fewest whose chances reach ``top_p`` together; of equally likely ones
    those of lower ids. A coin points into the chances as they lie one behind the other, in
    float64 so that company, which rounds otherwise, moves their borders as little as can be.
    Each line needs a word that can be said.
    Source of top-p: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", 3.1.
    """
    options = zip(logits.cpu(), temperatures, top_ks, top_ps, coins, strict=True)
    # one by one: what a line needs stays in the cache, and nobody else is about
    return torch.tensor([_draw(*of_line) for of_line in options], device=logits.device)


def _draw(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, coin: float
) -> int:
    """Return the id that ``coin`` points to among ``logits`` (V,)."""
    weights = logits.to(torch.float64, copy=True).numpy()
    weights -= weights.max()
    weights /= temperature
    np.exp(weights, out=weights)  # chances times a number
    ids = None
    if top_k is not None and top_k < len(weights):
        ids = _highest(weights, top_k)
        weights = weights[ids]
    if top_p is not None and top_p < 1:
        kept = _highest(weights, _nucleus(weights, top_p))
        ids = kept if ids is None else ids[kept]
        weights = weights[kept]
    ends = weights.cumsum()
    place = int(np.searchsorted(ends, coin * ends[-1], side="right"))
    return place if ids is None else int(ids[place])


def _highest(values: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Return the places of the ``count`` highest, ascending; of equal ones the first."""
    least = np.partition(values, -count)[-count]
    places = np.flatnonzero(values >= least)
    surplus = len(places) - count
    if surplus:
        equal = np.flatnonzero(values[places] == least)
        places = np.delete(places, equal[len(equal) - surplus :])
    return places


def _nucleus(weights: NDArray[np.float64], share: float) -> int:
    """Return how many of the highest it takes to reach ``share`` of all."""
    total = weights.sum()
    # together, all that are rarer than this do not make up what may be missing: no need to sort
    likely = weights[weights >= (1 - share) * total / len(weights)]
    reached = np.sort(likely)[::-1].cumsum().searchsorted(share * total)
    return min(int(reached) + 1, len(likely))
