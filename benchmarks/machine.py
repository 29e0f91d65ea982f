"""What this machine's matrix products reach: what a model's own speed is held against."""

import time
from collections.abc import Callable

import torch
from torch.nn import functional

TRIES = 15


def matrix_rate(dtype: torch.dtype, *, columns: int) -> float:
    """Return the GFLOP/s of a product as large as those of an output layer of ``columns`` words."""
    rows, depth = 1024, 512
    inputs, weight = torch.randn(rows, depth).to(dtype), torch.randn(columns, depth).to(dtype)
    seconds = _best_s(lambda: functional.linear(inputs, weight))
    return 2 * rows * columns * depth / seconds / 1e9


def _best_s(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best
