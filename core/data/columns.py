"""Which column holds what: as told, or as the names in the file suggest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from core.errors import DataError
from core.specs import Spec

Key = (
    Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=1)]
)  # a name, or a number from 1

_KNOWN_PAIRS = (
    ("source", "target"),
    ("src", "tgt"),
    ("src", "trg"),
    ("question", "answer"),
    ("q", "a"),
    ("input", "output"),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("text", "summary"),
    ("질문", "답변"),
    ("질문", "대답"),
    ("원문", "번역"),
)
_KNOWN_MAILS = (
    ("body", "reply"),
    ("message", "reply"),
    ("mail", "reply"),
    ("본문", "답장"),
    ("메일", "답장"),
)
_SUBJECTS = ("subject", "제목")
_KNOWN_TEXTS = ("text", "content", "paragraph", "본문")
_KNOWN_TURNS = ("turns", "messages", "dialogue", "dialog", "conversation", "conversations")
_LANGUAGES = {  # as headers name them
    *("ar", "cs", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "hu", "id", "it", "ja"),
    *("ko", "nl", "no", "pl", "pt", "ro", "ru", "sv", "th", "tr", "uk", "vi", "zh"),
    *("chinese", "english", "french", "german", "italian", "japanese", "korean", "russian"),
    *("spanish", "한국어", "영어", "일본어", "중국어"),
}


class Columns(Spec):
    """Where the parts of an example are; None leaves it to the names in the file.

    A name of digits, as it comes from a form or a command line, is a number too.
    """

    source: Key | None = None
    target: Key | None = None
    turns: Annotated[str, Field(min_length=1)] | None = None
    subject: Key | None = None  # of a mail: goes before the source, on a line of its own
    split: Key | None = None  # where each example says whether it is for train, valid or test

    def named(self) -> bool:
        """Whether a header is needed to find the columns."""
        keys = (self.source, self.target, self.subject, self.split)
        return any(isinstance(key, str) and not key.isdecimal() for key in keys)


@dataclass(frozen=True, slots=True)
class PairPlaces:
    """Where the parts of a pair stand in its row, counted from 0."""

    source: int
    target: int
    subject: int | None = None
    split: int | None = None


GUESSED = Columns()
Languages = tuple[str | None, str | None]  # of source and target, if known


def guess_pair(names: Sequence[str], languages: Languages) -> tuple[int, int] | None:
    """Return where source and target stand among ``names``, if the names are well known.

    ``languages`` decide first; otherwise two names of languages are source and target in their
    order. Case and surrounding spaces do not matter.
    """
    plain = [name.strip().lower() for name in names]
    asked = tuple((language or "").lower() for language in languages)
    for source, target in (asked, *_KNOWN_PAIRS, *_KNOWN_MAILS):
        if source in plain and target in plain and source:
            return plain.index(source), plain.index(target)
    tongues = [index for index, name in enumerate(plain) if name in _LANGUAGES]
    return (tongues[0], tongues[1]) if len(tongues) == 2 else None


def find_pair(
    names: Sequence[str], columns: Columns, languages: Languages, *, numbered: bool
) -> PairPlaces:
    """Return where source and target stand among ``names``, and what else was asked for.

    A subject is also found where the names are guessed to be those of mails.

    ``numbered`` means that ``names`` are no header but the first row: then, if nothing is told,
    columns 1 and 2. Raises DataError naming the columns that there are.
    """
    told = [_told(names, key, numbered=numbered) for key in (columns.source, columns.target)]
    guess = (0, 1) if numbered and len(names) > 1 else guess_pair(names, languages)
    source, target = (
        one if one is not None or guess is None else other
        for one, other in zip(told, guess or (None, None), strict=True)
    )
    if source is None or target is None:
        asking = "Source and target need two columns."
        if len(names) > 1:
            asking = (
                "Which columns hold source and target? Name each in the fields source and target "
                "(--source and --target), or number it from 1."
            )
        raise DataError(f"{asking} {_listing(names, numbered=numbered)}", field="columns")
    if source == target:
        raise DataError("Source and target are the same column.", field="columns")
    subject, split = (
        _told(names, key, numbered=numbered) for key in (columns.subject, columns.split)
    )
    if subject is None and not numbered and columns.source is None:
        subject = _subject_beside(names, source)
    return PairPlaces(source, target, subject, split)


def _subject_beside(names: Sequence[str], body: int) -> int | None:
    plain = [name.strip().lower() for name in names]
    if plain[body] not in {known for known, _ in _KNOWN_MAILS}:
        return None
    return next((plain.index(name) for name in _SUBJECTS if name in plain), None)


def find_text(names: Sequence[str], columns: Columns) -> str:
    """Return the name under which running text is kept: that of the source, if one was told."""
    asking = "Which column holds the text? Name it in the field source (--source)."
    return _named(names, columns.source, _KNOWN_TEXTS, asking)


def find_split(names: Sequence[str], columns: Columns) -> str | None:
    """Return the name of the column that says the split; None where none was told."""
    if columns.split is None:
        return None
    return names[_find(names, columns.split, numbered=False)]


def find_turns(names: Sequence[str], columns: Columns) -> str:
    """Return the name under which a dialogue keeps its turns; DataError where there is none."""
    asking = "Which column holds the turns? Name it in the field turns (--turns)."
    return _named(names, columns.turns, _KNOWN_TURNS, asking)


def _named(names: Sequence[str], told: Key | None, known: Sequence[str], asking: str) -> str:
    """Return which of ``names`` was told or is well known; DataError where there is none."""
    if told is not None and names:
        return names[_find(names, told, numbered=False)]
    found = next((name for name in names if name.strip().lower() in known), None)
    if found is None:
        raise DataError(f"{asking} {_listing(names, numbered=not names)}", field="columns")
    return found


def _told(names: Sequence[str], key: Key | None, *, numbered: bool) -> int | None:
    return None if key is None else _find(names, key, numbered=numbered)


def _find(names: Sequence[str], key: Key, *, numbered: bool) -> int:
    plain = [] if numbered else [name.strip().lower() for name in names]
    if str(key).strip().lower() in plain:
        return plain.index(str(key).strip().lower())
    if str(key).isdecimal() and 1 <= int(key) <= len(names):
        return int(key) - 1
    problem = f"There is no column {key!r}. {_listing(names, numbered=numbered)}"
    raise DataError(problem, field="columns")


def _listing(names: Sequence[str], *, numbered: bool) -> str:
    if numbered:
        return f"The file has no header, and {len(names)} column(s)."
    shown = ", ".join(name if len(name) <= 40 else name[:39] + "…" for name in names[:20])
    return f"The first row names these columns: {shown}."
