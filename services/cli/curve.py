"""A curve in one line of text."""

import math
from collections.abc import Sequence
from itertools import pairwise

BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], *, width: int) -> str:
    """Draw ``values`` from left to right in at most ``width`` characters, lowest as ``▁``.

    More values than characters are averaged; what is no number is left out.
    """
    finite = [value for value in values if math.isfinite(value)]
    points = _means(finite, min(width, len(finite)))
    if not points:
        return ""
    lowest, highest = min(points), max(points)
    span = highest - lowest
    if span == 0:
        return BLOCKS[0] * len(points)
    top = len(BLOCKS) - 1
    return "".join(BLOCKS[round((point - lowest) / span * top)] for point in points)


def _means(values: Sequence[float], count: int) -> list[float]:
    edges = [round(number * len(values) / count) for number in range(count + 1)] if count else []
    return [math.fsum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
