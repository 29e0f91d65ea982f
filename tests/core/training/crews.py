"""A team of threads in one process: what real processes do, without starting any."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch
from torch import Tensor, nn

from core.data.sampling import Rows
from core.training.team import Team

Found = TypeVar("Found")


class Crew:
    """One member; all share a table on which each lays what it has."""

    def __init__(self, rank: int, table: list[list[Tensor]], barrier: Barrier) -> None:
        self.rank = rank
        self.size = len(table)
        self._table = table
        self._barrier = barrier

    def share(self, rows: Rows) -> Rows:
        return rows[self.rank :: self.size]

    def add(self, *tensors: Tensor) -> None:
        for tensor, parts in zip(tensors, self._exchange(tensors), strict=True):
            tensor.copy_(torch.stack(parts).double().sum(0))

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        own = list(parameters)
        for one in own:
            one.grad = torch.zeros_like(one) if one.grad is None else one.grad
        for one, parts in zip(own, self._exchange([one.grad for one in own]), strict=True):
            one.grad = torch.stack(parts).sum(0)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        return self._exchange([tensor])[0]

    def _exchange(self, tensors: Iterable[Tensor]) -> list[list[Tensor]]:
        self._table[self.rank] = [one.clone() for one in tensors]
        self._barrier.wait(timeout=20)
        found = [list(parts) for parts in zip(*self._table, strict=True)]
        self._barrier.wait(timeout=20)
        return found


def together(size: int, work: Callable[[Team], Found]) -> list[Found]:
    """Return what ``work`` returns in each member of a team of ``size``, by rank."""
    table: list[list[Tensor]] = [[] for _ in range(size)]
    barrier = Barrier(size)

    def member(rank: int) -> Found:
        try:
            return work(Crew(rank, table, barrier))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(member, range(size)))
