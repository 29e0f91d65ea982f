"""The best few of each line of logits, and what makes logits log probabilities.

Every step of a search asks both of every line, so both go over wide lines as seldom as they can.
Sizes: N lines, V vocabulary, K how many are wanted.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.decoding.step import NEVER

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

_FEW = 100_000  # logits in all, of which torch finds the best as fast
_NARROW = 200  # logits in a line that is not worth dividing
_CHUNK = 8  # logits that one of them stands for
_BLOCK = 1 << 17  # logits whose exponentials stay in the cache
_LEAST, _MOST = 1e-20, 1e30  # between them a float32 sum of exponentials is as exact as any


def best_of(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the K highest of each line of ``logits`` (N, V), highest first: values (N, K), ids.

    K is ``count``, or V if that is less. Of equal logits the lower id comes first, so that the
    answer for a line depends on that line alone, and a smaller ``count`` gets the start of what a
    larger one gets. An id whose logit is -inf or no number means nothing.
    """
    if logits.device.type != "cpu":
        moved = best_of(logits.cpu(), count)
        return moved[0].to(logits.device), moved[1].to(logits.device)
    if logits.dtype == torch.bfloat16:  # numpy does not know it
        logits = logits.float()
    table = logits.numpy()
    if count == 1:
        found = table.argmax(1)[:, None]
        return torch.from_numpy(_at(table, found)), torch.from_numpy(found)
    lines, width = table.shape
    more = min(count + 1, width)  # one more tells whether the last has an equal
    if lines * width < _FEW:
        found = logits.topk(more, sorted=False).indices.numpy()
    else:
        found = _highest(logits, more)
    values = _at(table, found)
    order = np.lexsort((found, -values))
    values, ids = _at(values, order), _at(found, order)
    if more > count:
        _settle_ties(table, values, ids)
    return torch.from_numpy(values[:, :count]), torch.from_numpy(ids[:, :count])


def log_z(logits: Tensor) -> Tensor:
    """Return the log of the sum of exponentials (N,), float64, of each line of ``logits`` (N, V).

    What a line has no sum for is no number: where one of them is none, or +inf, or all are -inf.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    block = max(1, _BLOCK // logits.size(1)) if logits.device.type == "cpu" else len(logits)
    scratch = torch.empty_like(logits[:block])
    sums = torch.empty(len(logits), dtype=logits.dtype, device=logits.device)
    for first in range(0, len(logits), block):
        some = logits[first : first + block]
        torch.sum(torch.exp(some, out=scratch[: len(some)]), -1, out=sums[first : first + block])
    answer = sums.double().log()
    odd = ~((sums > _LEAST) & (sums < _MOST))  # no number is not between them either
    if odd.any():  # they need their highest taken out first
        answer[odd] = logits[odd].double().logsumexp(-1)
        answer[~answer.isfinite()] = torch.nan
    return answer


def _highest(logits: Tensor, count: int) -> Ints:
    """Return the ids (N, count) of the highest of each line, in no order.

    None of them is in a chunk whose highest is not among the highest of all chunks. Chunks lie
    across (id modulo their number), where finding the highest of each goes over whole vectors.
    """
    lines, width = logits.shape
    chunks = width // _CHUNK
    if width < _NARROW or chunks < 2 * count:
        return _last(logits.numpy(), count)
    heads = logits[:, : chunks * _CHUNK].view(lines, _CHUNK, chunks).amax(1)
    found = _highest(heads, count)
    ids = found[:, :, None] + np.arange(0, chunks * _CHUNK, chunks)
    ids = ids.reshape(lines, count * _CHUNK)
    if width % _CHUNK:
        left = np.arange(chunks * _CHUNK, width)
        ids = np.concatenate([ids, np.broadcast_to(left, (lines, len(left)))], 1)
    return _at(ids, _last(_at(logits.numpy(), ids), count))


def _last(table: Floats, count: int) -> Ints:
    """Return the places (N, count) of the highest of each line of ``table``."""
    return table.argpartition(table.shape[1] - count, 1)[:, -count:]


def _at(table: NDArray[Any], places: Ints) -> NDArray[Any]:
    """Return what is at ``places`` (N, K) of each line of ``table``."""
    return table[np.arange(len(table))[:, None], places]


def _settle_ties(table: Floats, values: Floats, ids: Ints) -> None:
    """Give the last place to the lowest id, in lines where what comes behind it is its equal."""
    count = values.shape[1] - 1
    tied = (values[:, -1] == values[:, -2]) & (values[:, -2] > NEVER)
    for line in tied.nonzero()[0]:
        among = np.flatnonzero(table[line] >= values[line, -1])
        best = among[np.lexsort((among, -table[line, among]))[:count]]
        values[line, :-1], ids[line, :-1] = table[line, best], best
