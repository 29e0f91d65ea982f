"""Questions that are nearly the same, found among many without comparing all."""

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.specs.kept import LOWEST
from core.text.clean import normalise

SHINGLE = 3  # characters
BANDS, ROWS = 32, 4  # a pair that is alike by 0.7 is missed once in 6,000 times, by 0.5 once in 8

KeyT = TypeVar("KeyT")


@dataclass(frozen=True, slots=True)
class Neighbour(Generic[KeyT]):
    """A question that was added, and how much another one is like it: 1 is the same."""

    key: KeyT
    question: str
    similarity: float


@dataclass(frozen=True, slots=True)
class _Entry(Generic[KeyT]):
    """Questions that are the same in letters, each with its number in the order of adding."""

    questions: dict[KeyT, tuple[int, str]]
    buckets: list[bytes]


class Neighbours(Generic[KeyT]):
    """Questions under the keys they were added with.

    Alike are questions that share runs of three letters; case, blanks and punctuation do not count.
    The measure is Jaccard's; MinHash only says which questions are worth measuring, and says the
    same in every process. Source: Broder 1997; Leskovec et al., Mining of Massive Datasets, 3.4.
    """

    def __init__(self, questions: Iterable[tuple[KeyT, str]] = ()) -> None:
        self._entries: dict[frozenset[bytes], _Entry[KeyT]] = {}
        self._buckets: dict[bytes, tuple[frozenset[bytes], ...]] = {}
        self._shingles: dict[KeyT, frozenset[bytes]] = {}
        self._added = 0
        for key, question in questions:
            self.add(key, question)

    def __len__(self) -> int:
        """Return how many questions there are that differ."""
        return len(self._entries)

    def add(self, key: KeyT, question: str) -> None:
        """Add a question, in place of what was added with ``key`` before."""
        self.remove(key)
        found = self._shingles[key] = shingles(question)
        if found not in self._entries:
            self._entries[found] = _Entry({}, _buckets(found))
            for bucket in self._entries[found].buckets:
                self._buckets[bucket] = (*self._buckets.get(bucket, ()), found)
        self._entries[found].questions[key] = (self._added, question)
        self._added += 1

    def remove(self, key: KeyT) -> None:
        """Forget what was added with ``key``, if anything was."""
        found = self._shingles.pop(key, None)
        if found is None:
            return
        entry = self._entries[found]
        del entry.questions[key]
        if not entry.questions:
            del self._entries[found]
            for bucket in entry.buckets:
                rest = tuple(one for one in self._buckets.pop(bucket) if one != found)
                if rest:
                    self._buckets[bucket] = rest

    def like(self, question: str, *, least: float = 0.7) -> list[Neighbour[KeyT]]:
        """Return the questions that are alike by ``least`` or more, the most alike first.

        Of those that are equally alike the first one added comes first. Raises ValueError for
        less than LOWEST.
        """
        if not LOWEST <= least <= 1:
            raise ValueError(f"least is {least}, not between {LOWEST} and 1")
        asked = shingles(question)
        near = {found for bucket in _buckets(asked) for found in self._buckets.get(bucket, ())}
        found = [
            (-similarity, number, Neighbour(key, said, similarity))
            for one in near
            if (similarity := _jaccard(asked, one)) >= least
            for key, (number, said) in self._entries[one].questions.items()
        ]
        return [neighbour for *_, neighbour in sorted(found, key=itemgetter(0, 1))]

    def nearest(self, question: str, *, least: float = 0.7) -> Neighbour[KeyT] | None:
        """Return the question that is most alike, of several the one that was added first."""
        return next(iter(self.like(question, least=least)), None)


def shingles(question: str) -> frozenset[bytes]:
    """Return all runs of letters in a question, as UTF-8; of a short one, all of it."""
    text = normalise(unicodedata.normalize("NFKC", question).casefold())
    letters = "".join(letter for letter in text if letter.isalnum()) or text.strip()
    last = max(len(letters) - SHINGLE, 0)
    return frozenset(letters[start : start + SHINGLE].encode() for start in range(last + 1))


def _jaccard(one: frozenset[bytes], other: frozenset[bytes]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def _buckets(found: frozenset[bytes]) -> list[bytes]:
    """Return the bands of a MinHash signature, each with its number."""
    hashes = np.array([_hash(shingle) for shingle in found], dtype=np.uint64)
    products = hashes[:, None] * _FACTORS + _SUMMANDS  # (shingles, bands x rows), modulo 2^64
    signature = (products >> np.uint64(32)).min(axis=0).astype(np.uint32).reshape(BANDS, ROWS)
    return [bytes([band]) + row.tobytes() for band, row in enumerate(signature)]


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _constants(name: str) -> NDArray[np.uint64]:
    numbers = [_hash(f"{name} {number}".encode()) for number in range(BANDS * ROWS)]
    return np.array(numbers, dtype=np.uint64)


_FACTORS = _constants("factor") | np.uint64(1)
_SUMMANDS = _constants("summand")
