"""The one form in which text is compared, stored and encoded."""

import re
import unicodedata

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def normalise(text: str, *, lower_case: bool = False) -> str:
    """Return ``text`` in Unicode NFC, lower-cased before that if asked.

    Half a surrogate pair, which JSON can smuggle in and UTF-8 cannot hold, becomes U+FFFD.
    """
    if lower_case:
        text = text.lower()
    return _LONE_SURROGATE.sub("\ufffd", unicodedata.normalize("NFC", text))
