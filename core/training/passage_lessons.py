"""What a model that asks questions learns from: passages, each with all that is asked about it."""

from collections.abc import Sequence

from core.data.asking import EncodedPassages, PassageBatch, collate
from core.data.sampling import BucketSampler, Rows
from core.specs import TrainSpec

_WIDER = 2  # validation keeps nothing for a backward pass


class PassageLessons:
    """Passages of similar length within a batch; ``batch_size`` counts passages."""

    carries = False

    def __init__(self, encoded: EncodedPassages, spec: TrainSpec) -> None:
        self._encoded = encoded
        self._sampler = BucketSampler(
            encoded.question_lengths,
            encoded.source_lengths,  # what is padded most is sorted by
            batch_size=spec.batch_size,
            batch_tokens=spec.batch_tokens,
            seed=spec.seed,
        )

    def __len__(self) -> int:
        return len(self._encoded)

    def batches(self, epoch: int) -> Sequence[Rows]:
        """Return the batches of ``epoch``, shuffled anew in each."""
        return self._sampler.batches(epoch)

    def ordered(self) -> Sequence[Rows]:
        """Return all rows, the longest first: what does not fit is known at once."""
        return self._sampler.ordered(wider=_WIDER)

    def take(self, rows: Rows) -> PassageBatch:
        """Return ``rows``, padded to the longest among them."""
        return collate(self._encoded, rows)

    def describe(self, row: int) -> str:
        """Say how long ``row`` is, and what bounds it."""
        questions = len(self._encoded.spans[row]) // 2
        return (
            f"{len(self._encoded.source[row])} source tokens and {questions} questions, bounded "
            "by train.max_source_tokens and train.max_target_tokens"
        )
