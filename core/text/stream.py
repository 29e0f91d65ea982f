"""Text as its tokens arrive, never a character that the next token could still change."""

import codecs
import unicodedata

from core.text.vocabulary import Vocabulary

_ZERO_WIDTH_JOINER = "\u200d"


class TextStream:
    """Turns ids into text one at a time; all that it yields, put together, is ``decode(ids)``.

    Bytes wait until their character is whole. The last character waits too, with all that hangs
    on it, because the next token may bring an accent, the rest of a Hangul syllable or the other
    half of an emoji. Which tokens do that is not known beforehand, so the wait is unconditional:
    the text shown is one character behind, and ``flush`` gives it at the end.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._lead = vocabulary.lead
        self._held = ""

    def push(self, id_: int) -> str:
        """Take the next id; return the text that is now certain, often none."""
        self._take(self._decoder.decode(self._vocabulary.spelling(id_)))
        cut = _last_cluster(self._held)
        certain, self._held = self._held[:cut], self._held[cut:]
        return certain

    def flush(self) -> str:
        """Return what was held back; no more ids will come."""
        self._take(self._decoder.decode(b"", final=True))
        rest, self._held = self._held, ""
        return rest

    def _take(self, text: str) -> None:
        if text:
            self._held += text.removeprefix(self._lead)
            self._lead = ""


def _last_cluster(text: str) -> int:
    """Return where the last character begins, counting what hangs on it as part of it."""
    for index in range(len(text) - 1, 0, -1):
        if not _hangs_on(text[index], text[index - 1]):
            return index
    return 0


def _hangs_on(char: str, before: str) -> bool:
    """Whether ``char`` belongs to the character ``before`` it (most of Unicode's UAX #29)."""
    if unicodedata.category(char).startswith("M"):  # accents, vowel signs, variation selectors
        return True
    if _is_jamo(char):
        return _is_jamo(before) or "가" <= before <= "힣"
    if _ZERO_WIDTH_JOINER in {before, char}:
        return True
    if _is_flag_half(char):
        return _is_flag_half(before)
    return "\U0001f3fb" <= char <= "\U0001f3ff"  # the colour of a skin


def _is_jamo(char: str) -> bool:
    return (
        "\u1100" <= char <= "\u11ff" or "\ua960" <= char <= "\ua97c" or "\ud7b0" <= char <= "\ud7fb"
    )


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
