"""Work on a disk that is full."""

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from core.errors import UnavailableError
from core.pipelines.patience import Patience
from core.pipelines.room import MORE_BYTES, demand, with_room
from tests.core.pipelines.test_patience import lease, patience

__all__ = ["lease"]

Usage = namedtuple("Usage", "total used free")


class Disk:
    """A disk of which the rest is used by others, until the third time that somebody looks."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.looks = 0

    def usage(self, directory: Path) -> Usage:
        del directory
        self.looks += 1
        return Usage(100 << 20, 0, self.size if self.looks < 4 else self.size + 4 * MORE_BYTES)


def test_work_that_found_no_room_begins_again_in_an_empty_directory_once_there_is_more(
    lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(3 << 20)
    monkeypatch.setattr(shutil, "disk_usage", disk.usage)
    found, told = [], []

    def work(directory: Path) -> None:
        found.append(list(directory.iterdir()))
        (directory / "tokens").mkdir()
        (directory / "tokens" / "half.npy").write_bytes(b"123")
        if len(found) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "child.log").write_text("words")
    with_room(work, tmp_path, patience(lease, told.append))
    assert found == [[], []]
    assert (tmp_path / "child.log").read_text() == "words"
    assert "The disk is full: 3 MB are free" in told[0]
    assert told[1].startswith("goes on after")


def test_patience_with_a_full_disk_ends(
    lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda directory: Usage(100 << 20, 0, 1 << 20))

    def work(directory: Path) -> None:
        raise OSError(errno.EDQUOT, "quota")

    hurried: Patience = patience(lease, print, limit_s=0.3)
    with pytest.raises(UnavailableError, match="The disk is full"):
        with_room(work, tmp_path, hurried)


def test_any_other_error_of_the_work_is_its_own(lease, tmp_path: Path) -> None:
    def work(directory: Path) -> None:
        raise PermissionError(errno.EACCES, "no")

    with pytest.raises(PermissionError):
        with_room(work, tmp_path, patience(lease, print))


def test_a_demand_that_is_met_is_silent(tmp_path: Path) -> None:
    demand(tmp_path, 1)
