"""Several processes that learn as one: each takes a share of a batch, and gradients are summed."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import PrefixStore, Store  # torch.distributed has no types
from torch.distributed.rendezvous import rendezvous

from core.data.sampling import Rows
from core.errors import UnavailableError

GATHERING_S = 120.0  # how long members wait for each other at the start
SILENCE_S = 1800.0  # how long one may be silent; one that ends is noticed at once


class Team(Protocol):
    """Who learns together. All members call the same methods in the same order."""

    @property
    def rank(self) -> int:
        """Which one this is; 0 speaks for all."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def share(self, rows: Rows) -> Rows:
        """Return what this member takes of a batch; nothing where the batch is too small."""
        ...

    def add(self, *tensors: Tensor) -> None:
        """Put the sum over all members in the place of each tensor, the same in all of them."""
        ...

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give each parameter the sum of its gradients over all members.

        A member without rows has none and adds nothing; one that nobody has stays None.
        """
        ...

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the ``tensor`` of each member, by rank; all have one shape."""
        ...


class _Alone:
    """A team of one."""

    rank = 0
    size = 1

    def share(self, rows: Rows) -> Rows:
        """Return all of ``rows``."""
        return rows

    def add(self, *tensors: Tensor) -> None:
        """Leave ``tensors`` as they are."""

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Leave the gradients as they are."""

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return ``tensor`` alone."""
        return [tensor]


ALONE: Team = _Alone()


class Group:
    """A team of processes, on one host or several, over ``torch.distributed``.

    Whatever a lost member makes impossible raises UnavailableError in the others.
    """

    def __init__(
        self,
        store: Store,
        *,
        rank: int,
        size: int,
        device: str = "cpu",
        gathering_s: float = GATHERING_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        """Meet the others at ``store``: gloo among CPUs, nccl among GPUs.

        Raises UnavailableError where not all of them come.
        """
        self.rank = rank
        self.size = size
        self._device = torch.device(device)
        self._sums: Tensor | None = None  # gradients end to end; kept, for it is large
        with self._together():
            store.set(_mark(rank), "")
            store.wait([_mark(one) for one in range(size)], timedelta(seconds=gathering_s))
            dist.init_process_group(
                "nccl" if self._device.type == "cuda" else "gloo",
                store=PrefixStore("malgil", store),
                rank=rank,
                world_size=size,
                timeout=timedelta(seconds=silence_s),
            )

    def share(self, rows: Rows) -> Rows:
        """Return every ``size``-th row: batches are sorted, so shares have as many tokens."""
        return rows[self.rank :: self.size]

    def add(self, *tensors: Tensor) -> None:
        """Put the sum over all members in the place of each tensor, added up in float64."""
        flat = torch.cat([tensor.detach().reshape(-1).double() for tensor in tensors])
        flat = flat.to(self._device)
        with self._together():
            dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.detach().copy_(part.view_as(tensor))

    @torch.no_grad()
    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum all gradients in one go, with a mark for each that says whether somebody has it."""
        every = [parameter for parameter in parameters if parameter.requires_grad]
        flat = self._flat(every)
        marks = flat[len(flat) - len(every) :]
        parts = torch.split(flat[: len(flat) - len(every)], [one.numel() for one in every])
        for place, (parameter, part) in enumerate(zip(every, parts, strict=True)):
            marks[place] = parameter.grad is not None
            if parameter.grad is None:
                part.zero_()
            else:
                part.copy_(parameter.grad.reshape(-1))
        with self._together():
            dist.all_reduce(flat)
        for parameter, part, mark in zip(every, parts, marks.tolist(), strict=True):
            if not mark:
                continue
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
            parameter.grad.copy_(part.view_as(parameter))

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the ``tensor`` of each member, by rank, where ``tensor`` is."""
        own = tensor.detach().to(self._device).contiguous()
        found = [torch.empty_like(own) for _ in range(self.size)]
        with self._together():
            dist.all_gather(found, own)
        return [one.to(tensor.device) for one in found]

    def close(self) -> None:
        """Leave; whoever still waits for this member is told so."""
        if dist.is_initialized():
            dist.destroy_process_group()

    def _flat(self, parameters: list[nn.Parameter]) -> Tensor:
        length = sum(one.numel() for one in parameters) + len(parameters)
        kind = parameters[0].dtype if parameters else torch.float32
        if self._sums is None or len(self._sums) != length or self._sums.dtype != kind:
            self._sums = torch.empty(length, dtype=kind, device=self._device)
        return self._sums

    @contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # what every fault of torch.distributed is
            raise UnavailableError(
                f"Process {self.rank + 1} of {self.size} that train together has lost the others: "
                "one of them has ended, or is silent, or cannot be reached."
            ) from error


def gathered(store: Store, size: int) -> bool:
    """Return whether all but rank 0 have come to ``store``."""
    return bool(store.check([_mark(rank) for rank in range(1, size)]))


def _mark(rank: int) -> str:
    return f"malgil/{rank}"


def join(
    environment: Mapping[str, str] = os.environ,
    *,
    device: str = "cpu",
    gathering_s: float = GATHERING_S,
    silence_s: float = SILENCE_S,
) -> Group:
    """Join the team that RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT name, as torchrun sets them.

    Raises UnavailableError where the others are not there in time.
    """
    rank, size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
    address, port = environment["MASTER_ADDR"], environment["MASTER_PORT"]
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    patience = timedelta(seconds=gathering_s)
    try:
        meeting = rendezvous(f"tcp://{where}", rank=rank, world_size=size, timeout=patience)
        store, _, _ = next(iter(meeting))
    except RuntimeError as error:
        raise UnavailableError(
            f"Process {rank + 1} of {size} found nobody to train with at {where}."
        ) from error
    return Group(
        store, rank=rank, size=size, device=device, gathering_s=gathering_s, silence_s=silence_s
    )
