"""Which extensions go on, for many rows at once.

Sizes: R rows, K hypotheses of the widest beam, C candidates of each, M that are looked at.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.decoding.candidates import Choice, Step
from core.decoding.histories import Growth, Ints
from core.decoding.step import NEVER


@dataclass(frozen=True, slots=True)
class Endings:
    """Hypotheses that come to their end, an entry for each."""

    rows: Ints
    parents: Ints
    totals: NDArray[np.float64]
    log_probs: NDArray[np.float64]  # of their end sign


def select(
    totals: NDArray[np.float64],
    step: Step,
    *,
    firsts: Ints,
    widths: Ints,
    ends: Ints,
) -> tuple[Growth, Endings]:
    """Keep the best extensions of each row, and take ends that are among the best.

    ``totals`` (R, K, C) are log p with what ``step`` adds, -inf where nothing may be said. The
    hypotheses of a row are lines from ``firsts`` (R,) on. ``widths`` (R,) are those of the beams,
    ``ends`` (R,) what ends a sequence. Of equals, the earlier parent comes first, then the earlier
    candidate.
    """
    rows, width, each = totals.shape
    flat = totals.reshape(rows, -1)
    order = (-flat).argsort(1, kind="stable")[:, : 2 * width]  # (R, M): enough, one of each ends
    ranks = np.arange(order.shape[1])
    best = flat[np.arange(rows)[:, None], order]  # (R, M)
    candidates = (order + firsts[:, None] * each).clip(max=step.words.size - 1)  # of all lines
    said = step.words.take(candidates)
    near = (best > NEVER) & (ranks < 2 * widths[:, None])
    ending = said == ends[:, None]
    # an end that loses to better extensions is not taken early
    taken = (near & ending & (ranks < widths[:, None])).nonzero()
    living = near & ~ending
    places = living.cumsum(1) - 1
    at = (living & (places < widths[:, None])).nonzero()
    to = (at[0], places[at])
    growth = Growth(
        parents=np.zeros((rows, width), np.int64),
        words=np.zeros((rows, width), np.int64),
        totals=np.full((rows, width), NEVER),
        log_probs=np.zeros((rows, width)),
        counts=np.bincount(at[0], minlength=rows),
    )
    growth.parents[to], growth.words[to] = order[at] // each, said[at]
    growth.totals[to], growth.log_probs[to] = best[at], step.log_probs.take(candidates[at])
    last = step.log_probs.take(candidates[taken])
    return growth, Endings(taken[0], order[taken] // each, best[taken], last)


def enter(growth: Growth, row: int, choice: Choice) -> None:
    """Put what a row has chosen for itself into ``growth``."""
    count = len(choice.live)
    growth.counts[row] = count
    growth.totals[row] = NEVER
    for place, one in enumerate(choice.live):
        growth.parents[row, place], growth.words[row, place] = one.parent, one.word
        growth.totals[row, place], growth.log_probs[row, place] = one.total, one.log_prob
