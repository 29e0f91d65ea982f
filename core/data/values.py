"""From the values of one line to an example, or to the reason why there is none."""

from typing import Any

from core.data.examples import Dialogue, Pair, Split, Text
from core.text.clean import normalise

_TURN_TEXTS = ("content", "text", "value", "utterance")
_UNSPOKEN = frozenset({"system", "developer", "tool", "function"})
_SPLITS: dict[str, Split] = {
    "train": "train",
    "valid": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
}


class NoExampleError(Exception):
    """What is wrong with a line."""


def pair_of(source: Any, target: Any, subject: Any = None) -> Pair:
    """Return a pair; a ``subject`` goes before the source, on a line of its own."""
    said = text_in(source, "the source")
    if subject is not None and not (isinstance(subject, str) and not subject.strip()):
        said = f"{text_in(subject, 'the subject')}\n{said}"
    return Pair(said, text_in(target, "the target"))


def dialogue_of(turns: Any) -> Dialogue:
    """Return a dialogue of texts, ``[speaker, text]`` arrays or objects with a content."""
    if not isinstance(turns, list):
        raise NoExampleError("the turns are not an array")
    spoken = [turn for turn in turns if not _is_unspoken(turn)]
    if len(spoken) < 2:
        raise NoExampleError("a dialogue needs two turns")
    return Dialogue(
        tuple(text_in(_said(turn), f"turn {number}") for number, turn in enumerate(spoken, 1))
    )


def running_text_of(value: Any) -> Text:
    """Return a piece of running text."""
    return Text(text_in(value, "the text"))


def split_of_name(value: Any) -> Split:
    """Return the split that ``value`` names, by one of the words in use for it."""
    name = value.strip().lower() if isinstance(value, str) else value
    if isinstance(name, str) and name in _SPLITS:
        return _SPLITS[name]
    raise NoExampleError(f"the split is {value!r}, not train, valid or test")


def text_in(value: Any, name: str) -> str:
    """Return ``value`` in NFC and stripped; ``name`` is what a problem calls it."""
    if not isinstance(value, str):
        raise NoExampleError(f"{name} is not a text")
    if "\0" in value:
        raise NoExampleError(f"{name} has a NUL character")
    text = normalise(value).strip()
    if not text:
        raise NoExampleError(f"{name} is empty")
    return text


def _is_unspoken(turn: Any) -> bool:
    return isinstance(turn, dict) and turn.get("role") in _UNSPOKEN


def _said(turn: Any) -> Any:
    if isinstance(turn, list) and len(turn) == 2:
        return turn[1]
    if isinstance(turn, dict):
        return next((turn[name] for name in _TURN_TEXTS if name in turn), None)
    return turn
