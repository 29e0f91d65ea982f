"""What of a set is held out: sources dealt out by their place, running text cut near its end."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate

from core.data.examples import Example, Pair, Split, Text, place, place_of
from core.errors import InputError
from core.recipes.materials import Material, Share

Splits = dict[Split, list[Example]]


def hold_out(examples: Sequence[Example], material: Material) -> Splits:
    """Divide ``examples`` as ``material`` says; each split keeps their order.

    A number of examples is taken in full unless that would part examples with one source: then
    it is as many as fit. A share of more than nothing holds out one source at least.
    Raises InputError where nothing is left to train on.
    """
    splits: Splits = {"train": [], "valid": [], "test": []}
    if examples and isinstance(examples[0], Text):
        _cut(examples, material, splits)
    else:
        _deal(examples, material, splits)
    if not splits["train"]:
        wanted = f"valid={material.valid}, test={material.test}"
        raise InputError(f"{len(examples)} example(s) leave none to train on with {wanted}.")
    return splits


def _deal(examples: Sequence[Example], material: Material, splits: Splits) -> None:
    places = [_place(material)(example) for example in examples]
    ordered = sorted(places)
    valid = _bound(ordered, material.valid, above=0.0)
    test = _bound(ordered, material.test, above=valid)
    for example, where in zip(examples, places, strict=True):
        name: Split = "valid" if where < valid else "test" if where < test else "train"
        splits[name].append(example)


def _bound(ordered: Sequence[float], share: Share, *, above: float) -> float:
    """Return the place below which lies ``share`` of the examples whose place is ``above``."""
    first = next((n for n, where in enumerate(ordered) if where >= above), len(ordered))
    if not share or first == len(ordered):
        return above
    if isinstance(share, int):
        last = first + share
        return ordered[last] if last < len(ordered) else 1.0
    return max(above + share, math.nextafter(ordered[first], 1))


def _place(material: Material) -> Callable[[Example], float]:
    if material.split_by == "source":
        return place
    return lambda example: place_of(example.target) if isinstance(example, Pair) else place(example)


def _cut(examples: Sequence[Example], material: Material, splits: Splits) -> None:
    """Cut running text: shares are of its characters, numbers of its pieces."""
    starts = [0, *accumulate(sum(map(len, example.texts)) for example in examples)]
    test = _start(starts, len(examples), material.test)
    valid = _start(starts, test, material.valid)
    splits["train"] += examples[:valid]
    splits["valid"] += examples[valid:test]
    splits["test"] += examples[test:]


def _start(starts: Sequence[int], end: int, share: Share) -> int:
    """Return the first of the pieces before ``end`` that are ``share`` of all."""
    if isinstance(share, int):
        return max(end - share, 0)
    first = bisect_left(starts, starts[end] - share * starts[-1])
    return min(first, end - 1) if share and end else end
