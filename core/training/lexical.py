"""A lexicon from pairs: which target words each source word explains best.

The model is the simplest that aligns words: each target word comes from one word of its source, or
from none, whatever the order (Brown et al. 1993, 4.1, "Model 1").
Sizes: V vocabulary, P pairs of a source word and a target word that occur together, X cells: all
such pairs of all examples, one for each occurrence.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.arrays import Ragged
from core.data.batches import EncodedPairs
from core.models.lexicon import Lexicon
from core.text.tokenizer import EOS, UNK

ROUNDS = 5  # of expectation and maximisation
ALWAYS = 100  # words of the target that are frequent enough to be called up by any source
MOST = 8_000_000  # cells: of a larger corpus, examples from all of it that have no more

Ids = NDArray[np.int64]
Numbers = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class _Cells:
    """What could have come from what; ``NULL`` is the word V of a source."""

    sources: Ids  # (P,)
    targets: Ids  # (P,)
    pair: Ids  # (X,), which of the P
    place: Ids  # (X,), which word of all targets is to be explained


def learn_lexicon(pairs: EncodedPairs, *, vocabulary_size: int, words: int) -> Lexicon:
    """Return the ``words`` likeliest translations of each word in ``pairs``."""
    rows = _share(pairs)
    cells = _cells(_rows_of(pairs.source, rows), _rows_of(pairs.target, rows), vocabulary_size)
    chances = _explain(cells, vocabulary_size)
    best = _best(cells, chances, vocabulary_size, words)
    counts = np.bincount(np.asarray(pairs.target.tokens), minlength=vocabulary_size)
    frequent = np.argsort(-counts, kind="stable")[:ALWAYS]
    frequent = frequent[counts[frequent] > 0]
    always = np.unique(np.concatenate([frequent, best[-1], [EOS, UNK]]))
    return Lexicon(words=best[:-1].astype(np.int32), always=always.astype(np.int32))


def coverage(lexicon: Lexicon, pairs: EncodedPairs) -> float:
    """Return which share of the target words of ``pairs`` their sources call up."""
    found = total = 0
    for row in range(len(pairs)):
        target = np.asarray(pairs.target[row])
        found += int(np.isin(target, lexicon.called_up(pairs.source[row])).sum())
        total += len(target)
    return found / max(total, 1)


def _share(pairs: EncodedPairs) -> Ids:
    """Return evenly spaced rows of ``pairs`` that have no more than MOST cells, or all of them."""
    cells = (pairs.source_lengths.astype(np.int64) + 1) * pairs.target_lengths
    step = int(cells.sum()) // MOST + 1
    return np.arange(0, len(pairs), step)


def _rows_of(ragged: Ragged, rows: Ids) -> list[Ids]:
    return [np.asarray(ragged[row], dtype=np.int64) for row in rows.tolist()]


def _cells(sources: list[Ids], targets: list[Ids], null: int) -> _Cells:
    """Put each word of each target beside all words of its source, and beside none."""
    heard = np.concatenate([part for one in sources for part in (one, [null])])
    said = np.concatenate([np.empty(0, dtype=np.int64), *targets])
    widths = np.array([len(one) + 1 for one in sources])
    counts = np.array([len(one) for one in targets])
    width = widths.repeat(counts)  # of the source of each word that was said
    start = (widths.cumsum() - widths).repeat(counts)
    place = np.arange(len(said)).repeat(width)
    within = np.arange(len(place)) - (width.cumsum() - width).repeat(width)
    keys = heard[start.repeat(width) + within] * (null + 1) + said[place]
    known, pair = np.unique(keys, return_inverse=True)
    return _Cells(known // (null + 1), known % (null + 1), pair, place)


def _explain(cells: _Cells, null: int) -> Numbers:
    """Return p(target | source) of each pair (P,)."""
    chances = np.ones(len(cells.sources))
    for _ in range(ROUNDS):
        weights = chances[cells.pair]
        weights /= np.bincount(cells.place, weights)[cells.place]
        counts = np.bincount(cells.pair, weights, minlength=len(chances))
        totals = np.bincount(cells.sources, counts, minlength=null + 1)
        chances = counts / totals[cells.sources]
    return chances


def _best(cells: _Cells, chances: Numbers, null: int, count: int) -> Ids:
    """Return the likeliest targets (V + 1, count) of each source; EOS where there are no more."""
    order = np.lexsort((cells.targets, -chances, cells.sources))
    sources = cells.sources[order]
    rank = np.arange(len(order)) - np.searchsorted(sources, sources)
    kept = rank < count
    best = np.full((null + 1, count), EOS, dtype=np.int64)
    best[sources[kept], rank[kept]] = cells.targets[order][kept]
    return best
