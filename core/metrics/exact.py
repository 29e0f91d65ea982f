"""Right or wrong, with nothing in between."""

from collections import defaultdict
from collections.abc import Hashable, Sequence


def accuracy(found: Sequence[Hashable], wanted: Sequence[Hashable]) -> float:
    """Return the share, 0 to 1, of places at which ``found`` is what was ``wanted``."""
    right = sum(one == other for one, other in zip(found, wanted, strict=True))
    return right / max(len(wanted), 1)


def exact_match(outputs: Sequence[str], targets: Sequence[str]) -> float:
    """Return the share of outputs that equal their target; spaces around it do not count."""
    return accuracy([text.strip() for text in outputs], [text.strip() for text in targets])


def exact_by_length(
    outputs: Sequence[str], targets: Sequence[str], lengths: Sequence[int]
) -> dict[int, float]:
    """Return ``exact_match`` for the examples of each length, shortest first.

    A model that has learned an algorithm, and not its examples, is right at lengths beyond those
    that it has seen.
    """
    rows = defaultdict[int, list[tuple[str, str]]](list)
    for output, target, length in zip(outputs, targets, lengths, strict=True):
        rows[length].append((output, target))
    return {
        length: exact_match([one for one, _ in rows[length]], [one for _, one in rows[length]])
        for length in sorted(rows)
    }


def exact_signature() -> str:
    """Return how ``exact_match`` compares, in the manner of sacrebleu's signatures."""
    return "exact_match|case:mixed|space:stripped|form:as-is"
