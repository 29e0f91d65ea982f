"""Running text as one stream of ids, and the stretches of it that a language model takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.arrays import ArrayWriter, Tokens
from core.text.kinds import TextTokenizer


@dataclass(frozen=True, slots=True)
class EncodedText:
    """All tokens of the texts end to end."""

    tokens: Tokens  # (N,)

    @classmethod
    def encode(
        cls,
        texts: Iterable[str],
        tokenizer: TextTokenizer,
        *,
        directory: Path | None = None,
        end: int | None = None,
    ) -> "EncodedText":
        """Encode ``texts`` one by one, with the id ``end`` after each if one is given.

        With a ``directory``, the array is a .npy file in it, mapped and not read, so that the
        text may be larger than memory; what stood there before is overwritten.
        """
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        writer = ArrayWriter(directory and directory / "text_tokens.npy", np.int32)
        try:
            for text in texts:
                writer.extend(tokenizer.encode(text))
                if end is not None:
                    writer.append(end)
            return cls(writer.finish())
        finally:
            writer.close()

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBatch:
    """Stretches of text side by side. Sizes: B stretches, T steps."""

    tokens: Tensor  # (B, T) ids
    gold: Tensor  # (B, T) ids: after each token, the one that follows it in the text
    mask: Tensor  # (B, T), True where the model is asked; for windows at the last step only


def stretches(
    text: EncodedText, starts: NDArray[np.int64] | Sequence[int], steps: int
) -> TextBatch:
    """Return the ``steps`` tokens from each of ``starts`` on, every one of them to be followed."""
    tokens = _cut(text, starts, steps + 1)  # (B, T + 1)
    mask = torch.ones(len(tokens), steps, dtype=torch.bool)
    return TextBatch(tokens=tokens[:, :-1], gold=tokens[:, 1:], mask=mask)


def windows(text: EncodedText, starts: NDArray[np.int64] | Sequence[int], steps: int) -> TextBatch:
    """Return the ``steps`` tokens from each of ``starts`` on, and the one that follows them."""
    tokens = _cut(text, starts, steps + 1)
    mask = torch.zeros(len(tokens), steps, dtype=torch.bool)
    mask[:, -1] = True
    return TextBatch(tokens=tokens[:, :-1], gold=tokens[:, 1:], mask=mask)


def _cut(text: EncodedText, starts: NDArray[np.int64] | Sequence[int], length: int) -> Tensor:
    begin = np.asarray(starts, dtype=np.int64)
    return torch.from_numpy(text.tokens[begin[:, None] + np.arange(length)].astype(np.int64))
