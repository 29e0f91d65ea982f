"""Arrays of unknown length, written bit by bit: to memory, or to files that are then mapped."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]
Offsets = NDArray[np.int64]
Lengths = NDArray[np.int32]

_HELD_BACK = 2**16  # numbers that wait for one write


@dataclass(frozen=True, slots=True, kw_only=True)
class Ragged:
    """N token sequences end to end: sequence i is ``tokens[offsets[i] : offsets[i + 1]]``."""

    tokens: Tokens
    offsets: Offsets  # (N + 1,)

    def __getitem__(self, row: int) -> Tokens:
        return self.tokens[self.offsets[row] : self.offsets[row + 1]]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Lengths:
        """How many tokens each sequence has, (N,)."""
        lengths = np.empty(len(self), dtype=np.int32)
        return np.subtract(self.offsets[1:], self.offsets[:-1], out=lengths, casting="unsafe")


class RaggedWriter:
    """Writes sequences one at a time; closes its files on the way out."""

    def __init__(self, directory: Path | None, name: str) -> None:
        """Write ``name``_tokens.npy and ``name``_offsets.npy, or to memory without a directory."""
        self._tokens = ArrayWriter(directory and directory / f"{name}_tokens.npy", np.int32)
        self._offsets = ArrayWriter(directory and directory / f"{name}_offsets.npy", np.int64)
        self._end = 0
        self._offsets.append(0)

    def __enter__(self) -> "RaggedWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._tokens.close()
        self._offsets.close()

    def add(self, ids: Sequence[int]) -> None:
        """Write one sequence."""
        self._tokens.extend(ids)
        self._end += len(ids)
        self._offsets.append(self._end)

    def finish(self) -> Ragged:
        """Return what was written; mapped if it has files."""
        return Ragged(tokens=self._tokens.finish(), offsets=self._offsets.finish())


class ArrayWriter:
    """Writes one .npy array of unknown length, to a file or to memory."""

    def __init__(self, path: Path | None, kind: type[np.int32 | np.int64]) -> None:
        """Begin at ``path``; who still maps what stood there before keeps it."""
        self._path = path
        self._kind = np.dtype(kind)
        self._length = 0
        self._waiting = array("i" if kind is np.int32 else "q")
        if path is not None:
            path.unlink(missing_ok=True)
        self._file: BinaryIO = BytesIO() if path is None else path.open("wb")
        self._write_header()

    def append(self, number: int) -> None:
        """Write one number."""
        self._waiting.append(number)
        if len(self._waiting) >= _HELD_BACK:
            self._flush()

    def extend(self, numbers: Sequence[int]) -> None:
        """Write ``numbers``."""
        self._waiting.extend(numbers)
        if len(self._waiting) >= _HELD_BACK:
            self._flush()

    def finish(self) -> NDArray[Any]:
        """Return the array; mapped if it has a file."""
        self._flush()
        self._file.seek(0)
        self._write_header()  # numpy leaves room in the header for the length to grow
        loaded: NDArray[Any]
        if self._path is None:
            self._file.seek(0)
            loaded = np.load(self._file, allow_pickle=False)
        else:
            self._file.close()
            empty = self._length == 0  # and then there is nothing to map
            loaded = np.load(self._path, mmap_mode=None if empty else "r", allow_pickle=False)
        return np.asarray(loaded)  # still mapped, but cut ten times faster than a np.memmap

    def close(self) -> None:
        """Close the file, whether the array is finished or not."""
        self._file.close()

    def _flush(self) -> None:
        self._file.write(self._waiting)
        self._length += len(self._waiting)
        del self._waiting[:]

    def _write_header(self) -> None:
        header = {"descr": self._kind.str, "fortran_order": False, "shape": (self._length,)}
        np.lib.format.write_array_header_1_0(self._file, header)
