"""Word vectors that others have trained, found for the words of a vocabulary."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError, InputError
from core.text.kinds import TextTokenizer


@dataclass(frozen=True, slots=True, eq=False)
class WordVectors:
    """What was found for a vocabulary. Sizes: V pieces, E numbers in a vector."""

    matrix: NDArray[np.float32]  # (V, E), zeros where nothing was found
    found: NDArray[np.bool_]  # (V,)

    @property
    def share(self) -> float:
        """The share of pieces that have a vector."""
        return float(self.found.mean())


def load_vectors(path: Path, tokenizer: TextTokenizer, *, dim: int) -> WordVectors:
    """Read vectors of ``dim`` numbers for the pieces of ``tokenizer`` that are whole words.

    The file is text, ``word n1 n2 ...`` in each line, with or without the first line of word2vec,
    which counts them; or, if it is called ``.json``, an object of arrays. It is read line by
    line and may be larger than memory. A word that is only there in lower case lends its vector.

    Raises DataError naming file and line where a vector is not ``dim`` numbers, and InputError
    where the file has none of the words.
    """
    wanted = _Wanted(tokenizer, dim)
    with path.open("rb") as file:
        read = _json_vectors if path.suffix.lower() == ".json" else _text_vectors
        for word, vector in read(file, path.name, dim, wanted.knows):
            wanted.take(word, vector)
    found = wanted.found()
    if not found.found.any():
        raise InputError(f"{path.name} has a vector for none of the {tokenizer.size} pieces.")
    return found


class _Wanted:
    """The words of a vocabulary, and what was found for each so far."""

    def __init__(self, tokenizer: TextTokenizer, dim: int) -> None:
        self._ids: dict[str, list[int]] = {}
        self._exact = np.zeros(tokenizer.size, dtype=np.bool_)
        self._lower = np.zeros(tokenizer.size, dtype=np.bool_)
        self._matrix = np.zeros((tokenizer.size, dim), dtype=np.float32)
        self._words = _words(tokenizer)
        for id_, word in self._words.items():
            for form in {word, word.lower()}:
                self._ids.setdefault(form, []).append(id_)

    def knows(self, word: str) -> bool:
        """Whether a vector for ``word`` would be taken."""
        return word in self._ids

    def take(self, word: str, vector: Sequence[float]) -> None:
        """Keep ``vector`` for the pieces that are ``word``; the first one for a word counts."""
        for id_ in self._ids[word]:
            exact = self._words[id_] == word
            if not self._exact[id_] and (exact or not self._lower[id_]):
                self._matrix[id_] = vector
                (self._exact if exact else self._lower)[id_] = True

    def found(self) -> WordVectors:
        """Return all that was taken."""
        return WordVectors(self._matrix, self._exact | self._lower)


def _words(tokenizer: TextTokenizer) -> dict[int, str]:
    """Return the pieces that are whole words: those that bring the space before them along.

    Where nothing is known but words, marks are such too.
    """
    if not tokenizer.lead:
        return {}
    all_words = tokenizer.spec.kind == "word"
    spelled = ((id_, tokenizer.spelling(id_)) for id_ in range(tokenizer.size))
    return {
        id_: word
        for id_, said in spelled
        if (all_words or said.startswith(b" ")) and (word := said.decode(errors="replace").strip())
    }


Knows = Callable[[str], bool]
Found = Iterator[tuple[str, Sequence[float]]]


def _text_vectors(file: BinaryIO, name: str, dim: int, knows: Knows) -> Found:
    for number, line in enumerate(file, 1):
        fields = line.strip(b" \t\r\n").rsplit(b" ", dim)
        if number == 1 and _is_header(line):
            continue
        if len(fields) != dim + 1 or not fields[0]:
            raise _wrong_width(name, number, len(line.split()) - 1, dim)
        word = fields[0].decode(errors="replace")
        if not knows(word):
            if _ends_in_number(fields[0]):
                raise _wrong_width(name, number, len(line.split()) - 1, dim)
            continue
        try:
            vector = [float(field) for field in fields[1:]]
        except ValueError as error:
            raise _bad(name, number, f"{word!r} has something that is no number") from error
        if not all(map(math.isfinite, vector)):
            raise _bad(name, number, f"{word!r} has something that is no number")
        yield word, vector


def _is_header(line: bytes) -> bool:
    """Whether ``line`` is that of word2vec: how many vectors, and of how many numbers."""
    fields = line.split()
    return len(fields) == 2 and all(field.isdigit() for field in fields)


def _ends_in_number(word: bytes) -> bool:
    """Whether a "word" with spaces has a number for its last part: then its vector is longer.

    GloVe's largest files do have words with spaces, such as ". . .".
    """
    _, space, last = word.rpartition(b" ")
    try:
        float(last)
    except ValueError:
        return False
    return bool(space)


def _json_vectors(file: BinaryIO, name: str, dim: int, knows: Knows) -> Found:
    try:
        value = json.load(file)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: not JSON: {error}", field="vectors") from error
    if not isinstance(value, Mapping):
        raise DataError(f"{name}: not an object of words and their vectors.", field="vectors")
    for word, vector in value.items():
        if not isinstance(vector, list) or len(vector) != dim:
            length = len(vector) if isinstance(vector, list) else 0
            message = f"{name}: {word!r} has {length} numbers instead of {dim}"
            raise DataError(f"{message}.", field="vectors")
        if not all(isinstance(one, int | float) and math.isfinite(one) for one in vector):
            raise DataError(f"{name}: {word!r} has something that is no number.", field="vectors")
        if knows(word):
            yield word, vector


def _wrong_width(name: str, number: int, width: int, dim: int) -> DataError:
    return _bad(name, number, f"a vector of {width} numbers, and the embedding has {dim}")


def _bad(name: str, number: int, reason: str) -> DataError:
    return DataError(f"{name}, line {number}: {reason}.", lines=[(number, reason)], field="vectors")
