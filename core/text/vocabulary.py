"""The vocabulary of one source: the tokenizer's, and the words that this source adds to it."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from core.specs import TokenizerSpec
from core.text.clean import normalise
from core.text.kinds import TextTokenizer
from core.text.tokenizer import SEP, UNK, Tokenizer


class Vocabulary(Protocol):
    """Whatever turns the text of an answer into ids and back."""

    @property
    def spec(self) -> TokenizerSpec:
        """What its tokenizer was made by."""
        ...

    @property
    def lead(self) -> str:
        """What ``decode`` takes away from the start."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, without specials."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text that ``ids`` spell; specials are skipped."""
        ...

    def spelling(self, id_: int) -> bytes:
        """Return the UTF-8 bytes that one id adds to a text; none for specials."""
        ...

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Return each id as a person would look at it."""
        ...

    def skip_ids(self, words: Iterable[str]) -> list[int]:
        """Return the ids that must not be said where ``words`` must not."""
        ...


class SourceVocabulary:
    """A tokenizer, and beyond it the words of one source that it lacks, in their order there.

    With V ids in the tokenizer, the first such word is V, the next one V + 1: what a pointer
    copies is spelled as the source has it. A word is a character where the tokenizer knows no
    longer ones. Source: See et al. 2017, 2.2.
    """

    def __init__(self, tokenizer: Tokenizer, spelled: Sequence[tuple[int, str]]) -> None:
        """Take the tokens of the source, as ``tokenizer.spell`` returns them."""
        self.spec = tokenizer.spec
        self.lead = tokenizer.lead
        self._tokenizer = tokenizer
        self._beyond: dict[str, int] = {}
        for id_, word in spelled:
            if id_ == UNK:
                self._beyond.setdefault(word, tokenizer.size + len(self._beyond))
        self._words = [word.encode() for word in self._beyond]
        self.source = self._ids(spelled)

    @classmethod
    def of_turns(
        cls, tokenizer: Tokenizer, turns: Sequence[str], *, max_tokens: int
    ) -> "SourceVocabulary":
        """Read the last ``max_tokens`` tokens of ``turns``, oldest first, SEP between them."""
        spelled: list[tuple[int, str]] = []
        for position, turn in enumerate(turns):
            spelled += [(SEP, "")] if position else []
            spelled += tokenizer.spell(turn)
        return cls(tokenizer, spelled[-max_tokens:])

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``; UNK for what neither tokenizer nor source knows."""
        return self._ids(self._tokenizer.spell(text))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text that ``ids`` spell; specials are skipped, broken bytes are U+FFFD."""
        spelled = b"".join(map(self.spelling, ids))
        return spelled.decode("utf-8", errors="replace").removeprefix(self.lead)

    def spelling(self, id_: int) -> bytes:
        """Return the UTF-8 bytes that one id adds to a text; none for specials."""
        beyond = id_ - self._tokenizer.size
        return self._words[beyond] if beyond >= 0 else self._tokenizer.spelling(id_)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Return each id as a person would look at it; a word of the source without its space."""
        beyond = [word.strip() for word in self._beyond]
        size = self._tokenizer.size
        return [
            beyond[id_ - size] if id_ >= size else self._tokenizer.pieces([id_])[0] for id_ in ids
        ]

    def skip_ids(self, words: Iterable[str]) -> list[int]:
        """Return the ids that must not be said where ``words`` must not, ascending.

        UNK is one of them always: what could stand for it in the source has an id of its own.
        """
        skipped = list(words)
        said = {normalise(word, lower_case=self.spec.lower_case).strip() for word in skipped}
        beyond = {id_ for word, id_ in self._beyond.items() if word.strip() in said}
        return sorted({UNK, *beyond, *self._tokenizer.skip_ids(skipped)})

    def _ids(self, spelled: Iterable[tuple[int, str]]) -> list[int]:
        return [self._beyond.get(word, UNK) if id_ == UNK else id_ for id_, word in spelled]


def read_source(
    turns: Sequence[str], tokenizer: TextTokenizer, *, max_tokens: int, copied: bool
) -> tuple[list[int], Vocabulary]:
    """Return the last ``max_tokens`` ids of ``turns``, and what turns the answer into ids.

    ``copied`` says whether the model can say words of the source that the tokenizer lacks; a
    closed vocabulary lacks none.
    """
    if not copied or not isinstance(tokenizer, Tokenizer):
        return tokenizer.encode_turns(turns)[-max_tokens:], tokenizer
    vocabulary = SourceVocabulary.of_turns(tokenizer, turns, max_tokens=max_tokens)
    return vocabulary.source, vocabulary
