"""Room on a disk: work that found none begins again once there is more."""

import errno
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from core.errors import UnavailableError
from core.pipelines.patience import Patience

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
MORE_BYTES = 1 << 20  # beyond what was not enough


def with_room(work: Callable[[Path], None], scratch: Path, patience: Patience) -> None:
    """Do ``work`` in an empty directory inside of ``scratch``, as often as the disk is full.

    Each time it is emptied, and work waits until there is more room than that was.
    Raises UnavailableError when patience ends, and any other error of ``work``.
    """
    directory = scratch / "work"
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            return work(directory)
        except OSError as error:
            if error.errno not in FULL:
                raise
        shutil.rmtree(directory)
        enough = free_bytes(scratch) + MORE_BYTES
        patience.through(partial(demand, scratch, enough))


def demand(directory: Path, bytes_: int) -> None:
    """Raise UnavailableError where fewer ``bytes_`` are free."""
    free = free_bytes(directory)
    if free < bytes_:
        raise UnavailableError(
            f"The disk is full: {free / 1e6:.0f} MB are free at {directory}, and "
            f"{bytes_ / 1e6:.0f} MB are needed."
        )


def free_bytes(directory: Path) -> int:
    """Return how much more can be written in ``directory``."""
    return shutil.disk_usage(directory).free
