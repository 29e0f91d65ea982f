"""What a language model learns from: streams that it follows, or windows that it looks through."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.data.sampling import Batches, Rows, cut
from core.data.texts import EncodedText, TextBatch, stretches, windows
from core.errors import InputError


class StreamLessons:
    """A text cut into streams side by side; every batch takes the next steps of each of them.

    Row i of a batch goes on where row i of the one before ended, so a state can be carried along
    and gradients stop where a batch begins: truncated backpropagation through time. What does
    not fill the streams evenly, fewer tokens than there are streams, is left out.
    Source: Zaremba et al. 2015, 4.1.
    """

    carries = True

    def __init__(self, text: EncodedText, *, streams: int, bptt: int) -> None:
        """Cut ``text`` into at most ``streams``; a batch has ``bptt`` steps, the last one fewer.

        Raises InputError where there is no token with another after it.
        """
        _need(text, 2)
        self._text = text
        self._bptt = bptt
        self._streams = min(streams, len(text) - 1)
        self._length = (len(text) - 1) // self._streams  # the last token is only ever gold

    def __len__(self) -> int:
        return self._streams

    def batches(self, epoch: int) -> Sequence[Rows]:
        """Return where in the text each stream stands, (streams,), batch after batch."""
        del epoch  # a text has one order
        return self.ordered()

    def ordered(self) -> Sequence[Rows]:
        """Return the same: a text has one order."""
        starts = np.arange(self._streams, dtype=np.int64) * self._length
        steps = range(0, self._length, self._bptt)
        return Batches(len(steps), lambda number: starts + steps[number])

    def take(self, rows: Rows) -> TextBatch:
        """Return the next steps from each of ``rows`` on."""
        steps = min(self._bptt, self._length - int(rows[0]) % self._length)
        return stretches(self._text, rows, steps)

    def describe(self, row: int) -> str:
        """Say how long a row is, and what bounds it."""
        del row
        return f"{self._bptt} tokens, bounded by train.bptt"


class WindowLessons:
    """Every window of so many tokens, asked for the one that follows; windows are shuffled."""

    carries = False

    def __init__(self, text: EncodedText, *, window: int, batch_size: int, seed: int) -> None:
        """Look through windows of ``window`` tokens, ``batch_size`` at a time.

        Raises InputError where the text is too short for one.
        """
        _need(text, window + 1)
        self._text = text
        self._window = window
        self._batch_size = batch_size
        self._seed = seed

    def __len__(self) -> int:
        return len(self._text) - self._window

    def batches(self, epoch: int) -> Sequence[Rows]:
        """Return where the windows of each batch begin, shuffled anew in each ``epoch``."""
        choose = np.random.default_rng([self._seed, epoch])
        return self._cut(choose.permutation(np.arange(len(self), dtype=np.int32)))

    def ordered(self) -> Sequence[Rows]:
        """Return all windows in the order of the text."""
        return self._cut(np.arange(len(self), dtype=np.int32))

    def take(self, rows: Rows) -> TextBatch:
        """Return the windows that begin at ``rows``."""
        return windows(self._text, rows, self._window)

    def describe(self, row: int) -> str:
        """Say how long a row is, and what bounds it."""
        del row
        return f"{self._window} tokens, bounded by model.window"

    def _cut(self, rows: NDArray[np.int32]) -> Batches:
        ends = np.arange(0, len(rows) + self._batch_size, self._batch_size)
        return cut(rows, np.minimum(ends, len(rows)))


def _need(text: EncodedText, tokens: int) -> None:
    if len(text) < tokens:
        raise InputError(f"The text has {len(text)} tokens, and {tokens} are needed to learn.")
