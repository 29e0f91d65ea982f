"""What every vocabulary can do, and the one door to all kinds of them."""

from collections.abc import Iterable
from typing import Protocol

from core.specs import TokenizerSpec
from core.text.closed import ClosedVocabulary
from core.text.tokenizer import Tokenizer


class TextTokenizer(Protocol):
    """Text to ids and back, whatever the pieces are. Padding is id 0 in all of them."""

    @property
    def spec(self) -> TokenizerSpec:
        """What it was made by."""
        ...

    @property
    def model(self) -> bytes:
        """What ``open_tokenizer`` makes it of again."""
        ...

    @property
    def lead(self) -> str:
        """What ``decode`` takes away from the start of what the spellings spell."""
        ...

    @property
    def end(self) -> int | None:
        """The id that ends a text; None where nothing does."""
        ...

    @property
    def size(self) -> int:
        """How many ids there are."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, without specials."""
        ...

    def encode_turns(self, turns: Iterable[str]) -> list[int]:
        """Return the ids of several turns, oldest first."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text that ``ids`` spell."""
        ...

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Return each id as a person would look at it."""
        ...

    def spelling(self, id_: int) -> bytes:
        """Return the UTF-8 bytes that one id adds to a text."""
        ...

    def skip_ids(self, words: Iterable[str]) -> list[int]:
        """Return the ids that say one of ``words``, ascending."""
        ...


def train_tokenizer(texts: Iterable[str], spec: TokenizerSpec) -> TextTokenizer:
    """Learn the vocabulary that ``spec`` asks for.

    A closed one needs all texts that it will meet, held-out ones too; others need only what is
    learned from. Raises as ``Tokenizer.train`` and ``ClosedVocabulary.train`` do.
    """
    if spec.kind == "closed":
        return ClosedVocabulary.train(texts, spec)
    return Tokenizer.train(texts, spec)


def open_tokenizer(spec: TokenizerSpec, model: bytes) -> TextTokenizer:
    """Open a stored vocabulary; raises BundleError where ``model`` is none of that kind."""
    if spec.kind == "closed":
        return ClosedVocabulary(spec, model)
    return Tokenizer(spec, model)
