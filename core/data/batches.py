"""Encoded examples, compact in memory or on disk, and the tensors a model takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.examples import Exchange
from core.text.tokenizer import BOS, EOS, PAD, UNK, Tokenizer

Tokens = NDArray[np.int32]
Offsets = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ragged:
    """N token sequences end to end: sequence i is ``tokens[offsets[i] : offsets[i + 1]]``."""

    tokens: Tokens
    offsets: Offsets  # (N + 1,)

    def __getitem__(self, row: int) -> Tokens:
        return self.tokens[self.offsets[row] : self.offsets[row + 1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPairs:
    """Sources and targets as ids, without BOS, EOS or padding."""

    source: Ragged
    target: Ragged

    @classmethod
    def encode(
        cls,
        exchanges: Iterable[Exchange],
        tokenizer: Tokenizer,
        *,
        max_source_tokens: int,
        max_target_tokens: int,
        directory: Path | None = None,
    ) -> "EncodedPairs":
        """Encode ``exchanges`` one by one.

        Of a source that is too long the end is kept, of a target the beginning. With a
        ``directory``, the arrays are .npy files in it, mapped and not read, so that a corpus
        may be larger than memory; what stood there before is overwritten.
        """
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        with (
            _RaggedWriter(directory, "source") as sources,
            _RaggedWriter(directory, "target") as targets,
        ):
            for exchange in exchanges:
                sources.add(encode_source(exchange.context, tokenizer, max_source_tokens))
                targets.add(tokenizer.encode(exchange.reply)[:max_target_tokens])
            return cls(source=sources.finish(), target=targets.finish())

    def __len__(self) -> int:
        return len(self.source.offsets) - 1

    @property
    def source_lengths(self) -> Offsets:
        """How many tokens each source has, (N,)."""
        return np.diff(self.source.offsets)

    @property
    def target_lengths(self) -> Offsets:
        """How many tokens each target has, (N,), BOS and EOS not counted."""
        return np.diff(self.target.offsets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some examples side by side. Sizes: B rows, S source steps, T target steps to predict."""

    source: Tensor  # (B, S) ids, padded with PAD on the right
    source_mask: Tensor  # (B, S), True at real tokens, at least one in each row
    target: Tensor  # (B, T + 1) ids: BOS, the tokens, EOS, PAD
    target_mask: Tensor  # (B, T + 1), True at all but PAD


def encode_source(turns: Sequence[str], tokenizer: Tokenizer, max_tokens: int) -> list[int]:
    """Return the last ``max_tokens`` ids of ``turns``: what came last matters most."""
    return tokenizer.encode_turns(turns)[-max_tokens:]


def collate(encoded: EncodedPairs, rows: Iterable[int]) -> Batch:
    """Put ``rows`` of ``encoded`` into tensors, padded to the longest among them."""
    chosen = [int(row) for row in rows]
    source, source_mask = pad_sources([encoded.source[row] for row in chosen])
    target, target_mask = _pad([_framed(encoded.target[row]) for row in chosen])
    return Batch(source=source, source_mask=source_mask, target=target, target_mask=target_mask)


def pad_sources(sources: Sequence[Sequence[int] | Tokens]) -> tuple[Tensor, Tensor]:
    """Return ids (B, S) and mask (B, S); a source without tokens becomes one UNK."""
    return _pad([source if len(source) else [UNK] for source in sources])


def _framed(tokens: Tokens) -> Tokens:
    framed = np.empty(len(tokens) + 2, dtype=np.int32)
    framed[0], framed[1:-1], framed[-1] = BOS, tokens, EOS
    return framed


def _pad(sequences: Sequence[Sequence[int] | Tokens]) -> tuple[Tensor, Tensor]:
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (B, S)
    padded = np.full(mask.shape, PAD, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        padded[row, : len(sequence)] = sequence
    return torch.from_numpy(padded), torch.from_numpy(mask)


class _RaggedWriter:
    """Writes sequences one at a time; closes its files on the way out."""

    def __init__(self, directory: Path | None, name: str) -> None:
        self._tokens = _ArrayWriter(directory and directory / f"{name}_tokens.npy", np.int32)
        self._offsets = _ArrayWriter(directory and directory / f"{name}_offsets.npy", np.int64)
        self._end = 0
        self._offsets.extend([0])

    def __enter__(self) -> "_RaggedWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._tokens.close()
        self._offsets.close()

    def add(self, ids: Sequence[int]) -> None:
        self._tokens.extend(ids)
        self._end += len(ids)
        self._offsets.extend([self._end])

    def finish(self) -> Ragged:
        return Ragged(tokens=self._tokens.finish(), offsets=self._offsets.finish())


class _ArrayWriter:
    """Writes one .npy array of unknown length, to a file or to memory."""

    def __init__(self, path: Path | None, kind: type[np.int32 | np.int64]) -> None:
        self._path = path
        self._kind = np.dtype(kind)
        self._length = 0
        if path is not None:
            path.unlink(missing_ok=True)  # whoever still maps the old file keeps it
        self._file: BinaryIO = BytesIO() if path is None else path.open("wb")
        self._write_header()

    def extend(self, numbers: Sequence[int]) -> None:
        self._file.write(np.array(numbers, dtype=self._kind).tobytes())
        self._length += len(numbers)

    def finish(self) -> NDArray[Any]:
        """Return the array; mapped if it has a file."""
        self._file.seek(0)
        self._write_header()  # numpy leaves room in the header for the length to grow
        array: NDArray[Any]
        if self._path is None:
            self._file.seek(0)
            array = np.load(self._file, allow_pickle=False)
        else:
            self._file.close()
            empty = self._length == 0  # and then there is nothing to map
            array = np.load(self._path, mmap_mode=None if empty else "r", allow_pickle=False)
        return np.asarray(array)  # still mapped, but cut ten times faster than a np.memmap

    def close(self) -> None:
        self._file.close()

    def _write_header(self) -> None:
        header = {"descr": self._kind.str, "fortran_order": False, "shape": (self._length,)}
        np.lib.format.write_array_header_1_0(self._file, header)
