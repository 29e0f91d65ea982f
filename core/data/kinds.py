"""Which kind of question a question is: by the word it asks with, in English or Korean."""

import re

# The first that fits counts; Korean stems stand inside of words.
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(rf"\b(?:{english})\b|{korean}", re.IGNORECASE))
    for kind, english, korean in (
        (
            "how many",
            r"how (?:many|much|old|long|far|often|tall|large|big)",
            "(?<!몇)몇(?!몇)|얼마",
        ),
        ("who", r"who|whom|whose", "누구(?!나|든)|누가|누군(?!가)"),
        ("when", r"when|what (?:year|date|day|month|century|time)", "언제(?!나|든)"),
        ("where", r"where", "어디(?!나|든|에나|서나)"),
        ("why", r"why", r"왜(?=\s|[?])|무엇 때문|이유"),
        ("how", r"how", "어떻게"),
        ("which", r"which", "어느(?! 정도)|어떤"),
        ("what", r"what", r"무엇(?!이든)|무슨|뭐|뭘|뭔|무얼"),
    )
)
OTHER = "other"


def kind_of(question: str) -> str:
    """Return the kind of a question: who, what, when and so on, or other."""
    found = ((pattern.search(question), kind) for kind, pattern in _KINDS)
    places = [(match.start(), order, kind) for order, (match, kind) in enumerate(found) if match]
    return min(places)[2] if places else OTHER
