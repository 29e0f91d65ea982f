"""What a model that asks questions learns from: passages, each with all that is asked about it."""

from core.data.asking import EncodedPassages, PassageBatch, collate
from core.data.sampling import Rows
from core.specs import TrainSpec
from core.training.lessons import BucketedLessons


class PassageLessons(BucketedLessons):
    """Passages with their questions; ``batch_size`` counts passages."""

    def __init__(self, encoded: EncodedPassages, spec: TrainSpec) -> None:
        # passages go last: they are sorted by, for they are what is padded most
        super().__init__(encoded.question_lengths, encoded.source_lengths, spec)
        self._encoded = encoded

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
