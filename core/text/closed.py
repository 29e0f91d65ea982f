"""A vocabulary that knows the words of its texts and nothing else."""

import json
from collections import Counter
from collections.abc import Iterable

from core.errors import BundleError, InputError, SpecError
from core.specs import TokenizerSpec
from core.text.clean import normalise

PAD = 0
UNKNOWN = "<unk>"  # where the texts themselves put this for rare words

_FORMAT = "malgil-words-1"
_PAD_PIECE = "<pad>"
SHOWN = 40  # characters of a word that an error names


class ClosedVocabulary:
    """The words of some texts, commonest first, and padding: for language models over them.

    Words are what spaces part, so texts come with spaces round their signs. Nothing starts or
    ends a text: pieces of running text are joined as they are.
    """

    lead = " "
    end: int | None = None

    def __init__(self, spec: TokenizerSpec, model: bytes) -> None:
        """Open a stored ``model``; raises BundleError where it is none of ours."""
        self.spec = spec
        self.model = model
        self._words = [_PAD_PIECE, *_words(model)]
        self._ids = {word: id_ for id_, word in enumerate(self._words) if id_ != PAD}

    @classmethod
    def train(cls, texts: Iterable[str], spec: TokenizerSpec) -> "ClosedVocabulary":
        """Take every word of ``texts``, which are all that will ever be encoded.

        The commonest word has the id 1; of equally common ones, the one that came first is first.
        Raises InputError where there is no word, and SpecError where there are too many.
        """
        counts = Counter(word for text in texts for word in _split(text, spec))
        if not counts:
            raise InputError("There is no text to learn a vocabulary from.")
        if len(counts) >= spec.vocabulary_size:
            raise SpecError(
                f"These texts have {len(counts)} different words. A closed vocabulary has all of "
                f"them and padding: vocabulary_size must be {len(counts) + 1} at least, "
                f"not {spec.vocabulary_size}.",
                field="vocabulary_size",
            )
        words = [word for word, _ in counts.most_common()]  # ties in the order of their coming
        return cls(spec, json.dumps({"format": _FORMAT, "words": words}).encode())

    @property
    def size(self) -> int:
        """How many ids there are: the words and padding."""
        return len(self._words)

    def encode(self, text: str) -> list[int]:
        """Return the ids of the words of ``text``.

        A word that is not known is ``<unk>`` where the texts had that for rare words. Else
        InputError names it: leaving it out would answer to something that was never asked.
        """
        words = _split(text, self.spec)
        unknown = self._ids.get(UNKNOWN)
        ids = [self._ids.get(word, unknown) for word in words]
        known = [id_ for id_ in ids if id_ is not None]
        if len(known) < len(ids):
            word = words[ids.index(None)]
            shown = word if len(word) <= SHOWN else f"{word[:SHOWN]}…"
            raise InputError(f"{shown!r} is not among the words of this model.")
        return known

    def encode_turns(self, turns: Iterable[str]) -> list[int]:
        """Return the ids of several turns, one after the other: there is no sign to part them."""
        return [id_ for turn in turns for id_ in self.encode(turn)]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the words of ``ids`` with spaces between them, without padding."""
        return " ".join(self._words[id_] for id_ in ids if id_ != PAD)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Return the word of each id, ``<pad>`` for padding."""
        return [self._words[id_] for id_ in ids]

    def spelling(self, id_: int) -> bytes:
        """Return the UTF-8 bytes that one id adds to a text: a space and its word."""
        return b"" if id_ == PAD else f" {self._words[id_]}".encode()

    def skip_ids(self, words: Iterable[str]) -> list[int]:
        """Return the ids of ``words``; what is not in the vocabulary is never said anyway."""
        return sorted({self._ids[word] for word in words if word in self._ids})


def _split(text: str, spec: TokenizerSpec) -> list[str]:
    return normalise(text, lower_case=spec.lower_case).split()


def _words(model: bytes) -> list[str]:
    problem = "The vocabulary is damaged or not one of ours."
    try:
        value = json.loads(model)
        words, format_ = value["words"], value["format"]
    except (ValueError, LookupError, TypeError) as error:
        raise BundleError(problem) from error
    if format_ != _FORMAT or not isinstance(words, list) or not words:
        raise BundleError(problem)
    if not all(isinstance(word, str) for word in words) or len(set(words)) != len(words):
        raise BundleError(problem)
    return words
