"""What a training learns from: batches in an order that (seed, epoch) alone decides."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

from core.data.batches import Batch, EncodedPairs, collate
from core.data.sampling import BucketSampler, Rows
from core.specs import TrainSpec

_WIDER = 2  # validation keeps nothing for a backward pass, so twice the rows take no more memory

BatchT_co = TypeVar("BatchT_co", covariant=True)


class Lessons(Protocol[BatchT_co]):
    """Numbered rows, put into batches; it keeps no place, for (epoch, index) is a place."""

    @property
    def carries(self) -> bool:
        """Whether row i of a batch goes on where row i of the batch before it ended.

        If so, the model is handed the carry that it returned, (B, ...) in each tensor; an epoch
        begins without one.
        """
        ...

    def batches(self, epoch: int) -> Sequence[Rows]:
        """Return the batches of ``epoch`` in their order, the same at every call."""
        ...

    def ordered(self) -> Sequence[Rows]:
        """Return batches with every row once, as validation reads them."""
        ...

    def take(self, rows: Rows) -> BatchT_co:
        """Return the tensors of ``rows``: what a Learner of this kind takes."""
        ...

    def describe(self, row: int) -> str:
        """Say how long ``row`` is and which fields of the plan bound that, for an error."""
        ...


class BucketedLessons:
    """Rows of similar lengths in a batch, with nothing to carry from one batch to the next."""

    carries = False

    def __init__(self, source: NDArray[Any], target: NDArray[Any], spec: TrainSpec) -> None:
        """``source`` and ``target`` (rows,) are lengths as the sampler takes them."""
        self._count = len(source)
        self._sampler = BucketSampler(
            source,
            target,
            batch_size=spec.batch_size,
            batch_tokens=spec.batch_tokens,
            seed=spec.seed,
        )

    def __len__(self) -> int:
        return self._count

    def batches(self, epoch: int) -> Sequence[Rows]:
        """Return the batches of ``epoch``, shuffled anew in each."""
        return self._sampler.batches(epoch)

    def ordered(self) -> Sequence[Rows]:
        """Return all rows, the longest first: what does not fit is known at once."""
        return self._sampler.ordered(wider=_WIDER)


class PairLessons(BucketedLessons):
    """Sources and targets."""

    def __init__(self, encoded: EncodedPairs, spec: TrainSpec) -> None:
        super().__init__(encoded.source_lengths, encoded.target_lengths, spec)
        self._encoded = encoded

    def take(self, rows: Rows) -> Batch:
        """Return ``rows``, padded to the longest among them."""
        return collate(self._encoded, rows)

    def describe(self, row: int) -> str:
        """Say how long ``row`` is, and what bounds it."""
        source, target = self._encoded.source[row], self._encoded.target[row]
        return (
            f"{len(source)} source and {len(target)} target tokens, bounded by "
            "train.max_source_tokens and train.max_target_tokens"
        )
