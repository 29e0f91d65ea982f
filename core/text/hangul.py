"""Hangul syllables, and what stands at their end: most of Korean grammar hangs on it."""

_FIRST, _LAST = "가", "힣"
_FINALS: tuple[str, ...] = (
    "",
    *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ",
)  # in the order of Unicode


def is_syllable(char: str) -> bool:
    """Return whether ``char`` is a whole syllable, as 값 is and ㅂ is not."""
    return len(char) == 1 and _FIRST <= char <= _LAST


def final(text: str) -> str | None:
    """Return the consonant that the last syllable of ``text`` ends with: 값 ㅄ, 나 nothing.

    None where it does not end with a syllable: nobody can tell how ``GIL`` or ``3.9`` is read.
    """
    if not text or not is_syllable(text[-1]):
        return None
    return _FINALS[(ord(text[-1]) - ord(_FIRST)) % len(_FINALS)]


def with_final(text: str, consonant: str) -> str:
    """Return ``text``, which ends with a syllable, with ``consonant`` at its end or with none."""
    place = ord(text[-1]) - ord(_FIRST)
    open_syllable = place - place % len(_FINALS)
    return text[:-1] + chr(ord(_FIRST) + open_syllable + _FINALS.index(consonant))
