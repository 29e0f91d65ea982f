"""Text as its tokens arrive, never a character that the next token could still change."""

import codecs
import unicodedata
from collections.abc import Sequence

from core.text.vocabulary import Vocabulary

_ZERO_WIDTH_JOINER = "\u200d"


def cut(text: str, stops: Sequence[str]) -> str:
    """Return what ``text`` says before the first of ``stops`` that is whole in it.

    Of several that end at the same character the longest counts, so that nothing of it is left.
    """
    end, start = _stopped(text, stops)
    return text if end is None else text[:start]


class TextStream:
    """Turns ids into text one at a time; put together it is ``decode(ids)``, cut at ``stop``.

    Bytes wait until their character is whole. The last character waits too, with all that hangs
    on it, because the next token may bring an accent, the rest of a Hangul syllable or the other
    half of an emoji. Which tokens do that is not known beforehand, so the wait is unconditional:
    the text shown is one character behind, and ``flush`` gives it at the end. So does what may
    become one of the texts in ``stop``.
    """

    def __init__(self, vocabulary: Vocabulary, *, stop: Sequence[str] = ()) -> None:
        """``stop`` is spelled as the vocabulary spells; nothing comes from the first of it on."""
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._lead = vocabulary.lead
        self._stops = tuple(stop)
        self._stopped = False
        self._held = ""

    def push(self, id_: int) -> str:
        """Take the next id; return the text that is now certain, often none."""
        self._take(self._decoder.decode(self._vocabulary.spelling(id_)))
        if self._stopped:
            return self._all()
        end = min(_last_cluster(self._held), _possible_stop(self._held, self._stops))
        certain, self._held = self._held[:end], self._held[end:]
        return certain

    def flush(self) -> str:
        """Return what was held back; no more ids will come."""
        self._take(self._decoder.decode(b"", final=True))
        return self._all()

    def _take(self, text: str) -> None:
        if not text or self._stopped:
            return
        self._held += text.removeprefix(self._lead)
        self._lead = ""
        end, start = _stopped(self._held, self._stops)
        if end is not None:
            self._held, self._stopped = self._held[:start], True

    def _all(self) -> str:
        rest, self._held = self._held, ""
        return rest


def _stopped(text: str, stops: Sequence[str]) -> tuple[int | None, int]:
    """Return where the stop that is whole first ends, if one is, and where it begins."""
    found = [(start + len(stop), start) for stop in stops if (start := text.find(stop)) >= 0]
    return min(found, default=(None, 0))


def _possible_stop(text: str, stops: Sequence[str]) -> int:
    """Return where what may become a stop begins, at the end of ``text`` if nothing may."""
    longest = max(map(len, stops), default=1) - 1
    for start in range(max(len(text) - longest, 0), len(text)):
        if any(stop.startswith(text[start:]) for stop in stops):
            return start
    return len(text)


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
