"""How well answers are found: spans against spans, words against words."""

import re
import string
from collections import Counter
from collections.abc import Sequence, Set

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PARTS = re.compile("[가-힣]|[^가-힣]+")
_MARKS = str.maketrans("", "", string.punctuation)


def answer_f1(found: str, wanted: Sequence[str]) -> float:
    """Return how many words ``found`` shares with the best of ``wanted``, as F1 from 0 to 1.

    Source: Rajpurkar et al. 2016, 6.1: neither case nor marks nor English articles count. Of
    Korean words the syllables are shared, so that one and the same with a particle behind it are
    not strangers: after Lim et al. 2019, KorQuAD 1.0, which shares all characters.
    """
    return max((_f1(_shared(found), _shared(one)) for one in wanted), default=0.0)


def answer_exact(found: str, wanted: Sequence[str]) -> bool:
    """Return whether ``found`` is one of ``wanted``, compared in the same way."""
    return any(answer_words(found) == answer_words(one) for one in wanted)


def answer_words(text: str) -> list[str]:
    """Return the words of an answer that count."""
    return _ARTICLES.sub(" ", text.lower().translate(_MARKS)).split()


def _shared(text: str) -> list[str]:
    """Return what two answers may share: words, and of Hangul each syllable."""
    return [part for word in answer_words(text) for part in _PARTS.findall(word)]


def set_f1(found: Sequence[Set[object]], wanted: Sequence[Set[object]]) -> float:
    """Return the F1, 0 to 1, of all that was found in each row against all that was wanted."""
    right = sum(len(one & other) for one, other in zip(found, wanted, strict=True))
    return _harmonic(right, sum(map(len, found)), sum(map(len, wanted)))


def spans_signature() -> dict[str, str]:
    """Return how these figures are computed, in the manner of sacrebleu's signatures."""
    return {
        "answer_f1": "squad-f1|case:lower|marks:no|articles:no|hangul:syllables|refs:all|mean",
        "proposer": "f1|micro|as-many-as:distinct-gold-answers|word:marks-apart|no-overlap",
    }


def _f1(found: Sequence[str], wanted: Sequence[str]) -> float:
    if not found or not wanted:
        return float(found == wanted)
    right = sum((Counter(found) & Counter(wanted)).values())
    return _harmonic(right, len(found), len(wanted))


def _harmonic(right: int, found: int, wanted: int) -> float:
    return 2 * right / (found + wanted) if right else 0.0
