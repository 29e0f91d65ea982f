"""A passage as a model reads it: tokens that know where they stand, and what they are called."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.marks import with_shape
from core.text.located import Located, locate
from core.text.tokenizer import UNK, Tokenizer
from core.text.vocabulary import SourceVocabulary, Vocabulary


@dataclass(frozen=True, slots=True)
class Reading:
    """Tokens of a passage, from the first to the last or a stretch of them."""

    located: Located
    source: NDArray[np.int64]  # (S,), as ``core.data.marks`` makes them; no answer is marked
    vocabulary: Vocabulary  # of this source, if its words may be copied

    def question(self, text: str, tokenizer: Tokenizer) -> list[int]:
        """Return the ids of a question about it; each unknown word is one UNK."""
        if isinstance(self.vocabulary, SourceVocabulary):
            return self.vocabulary.encode(text)
        return [id_ for id_, _ in tokenizer.spell(text)]


def read_passage(text: str, tokenizer: Tokenizer, *, copied: bool) -> Reading:
    """Read the whole of ``text``; one without a token is one UNK, which stands nowhere."""
    return _reading(text, locate(text, tokenizer), tokenizer, copied=copied)


def stretches_of(
    text: str, tokenizer: Tokenizer, *, copied: bool, longest: int
) -> Iterator[Reading]:
    """Read ``text`` in stretches of ``longest`` tokens at most, one behind the other."""
    whole = locate(text, tokenizer)
    for start in range(0, max(len(whole), 1), longest):
        part = slice(start, start + longest)
        located = Located(
            spelled=whole.spelled[part], starts=whole.starts[part], ends=whole.ends[part]
        )
        yield _reading(text, located, tokenizer, copied=copied)


def _reading(text: str, located: Located, tokenizer: Tokenizer, *, copied: bool) -> Reading:
    vocabulary: Vocabulary = tokenizer
    ids = [id_ for id_, _ in located.spelled]
    if copied:
        vocabulary = SourceVocabulary(tokenizer, located.spelled)
        ids = vocabulary.source
    texts = (text[start:end] for start, end in zip(located.starts, located.ends, strict=True))
    marked = [with_shape(id_, said) for id_, said in zip(ids, texts, strict=True)]
    return Reading(located, np.array(marked or [UNK], dtype=np.int64), vocabulary)
