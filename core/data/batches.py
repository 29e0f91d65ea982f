"""Encoded examples, compact in memory or on disk, and the tensors a model takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.arrays import Lengths, Ragged, RaggedWriter, Tokens
from core.data.examples import Exchange
from core.text.kinds import TextTokenizer
from core.text.tokenizer import BOS, EOS, PAD, UNK
from core.text.vocabulary import read_source


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPairs:
    """Sources and targets as ids, without BOS, EOS or padding."""

    source: Ragged
    target: Ragged

    @classmethod
    def encode(
        cls,
        exchanges: Iterable[Exchange],
        tokenizer: TextTokenizer,
        *,
        max_source_tokens: int,
        max_target_tokens: int,
        copy_source: bool = False,
        directory: Path | None = None,
    ) -> "EncodedPairs":
        """Encode ``exchanges`` one by one.

        Of a source that is too long the end is kept, of a target the beginning. With a
        ``directory``, the arrays are .npy files in it, mapped and not read, so that a corpus
        may be larger than memory; what stood there before is overwritten. With ``copy_source``,
        words of a source that the tokenizer lacks have ids of their own, from its size on.
        """
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        with (
            RaggedWriter(directory, "source") as sources,
            RaggedWriter(directory, "target") as targets,
        ):
            for exchange in exchanges:
                source, vocabulary = read_source(
                    exchange.context, tokenizer, max_tokens=max_source_tokens, copied=copy_source
                )
                sources.add(source)
                targets.add(vocabulary.encode(exchange.reply)[:max_target_tokens])
            return cls(source=sources.finish(), target=targets.finish())

    def __len__(self) -> int:
        return len(self.source.offsets) - 1

    @property
    def source_lengths(self) -> Lengths:
        """How many tokens each source has, (N,)."""
        return self.source.lengths

    @property
    def target_lengths(self) -> Lengths:
        """How many tokens each target has, (N,), BOS and EOS not counted."""
        return self.target.lengths


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some examples side by side. Sizes: B rows, S source steps, T target steps to predict."""

    source: Tensor  # (B, S) ids, padded with PAD on the right
    source_mask: Tensor  # (B, S), True at real tokens, at least one in each row
    target: Tensor  # (B, T + 1) ids: BOS, the tokens, EOS, PAD
    target_mask: Tensor  # (B, T + 1), True at all but PAD


def collate(encoded: EncodedPairs, rows: Iterable[int]) -> Batch:
    """Put ``rows`` of ``encoded`` into tensors, padded to the longest among them."""
    chosen = [int(row) for row in rows]
    source, source_mask = pad_sources([encoded.source[row] for row in chosen])
    target, target_mask = framed_batch([encoded.target[row] for row in chosen])
    return Batch(source=source, source_mask=source_mask, target=target, target_mask=target_mask)


def pad_sources(sources: Sequence[Sequence[int] | NDArray[Any]]) -> tuple[Tensor, Tensor]:
    """Return ids (B, S) and mask (B, S); a source without tokens becomes one UNK."""
    return _pad([source if len(source) else [UNK] for source in sources])


def framed_batch(targets: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """Return ids (B, T + 1) from BOS to EOS, and mask (B, T + 1)."""
    return _pad([_framed(target) for target in targets])


def _framed(tokens: Tokens) -> Tokens:
    framed = np.empty(len(tokens) + 2, dtype=np.int32)
    framed[0], framed[1:-1], framed[-1] = BOS, tokens, EOS
    return framed


def _pad(sequences: Sequence[Sequence[int] | NDArray[Any]]) -> tuple[Tensor, Tensor]:
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (B, S)
    padded = np.full(mask.shape, PAD, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        padded[row, : len(sequence)] = sequence
    return torch.from_numpy(padded), torch.from_numpy(mask)
