"""``--decode KEY=VALUE``: how a model is to search for what it says."""

import json
from collections.abc import Sequence
from typing import Any

from core.errors import SpecError
from core.specs import DecodeSpec, lay_over
from services.cli.failures import refused

_OPTION = "--decode"


def decoding(settings: Sequence[str]) -> dict[str, Any]:
    """Read ``beam_size=8`` and the like: values are JSON, or else words.

    An option that takes several texts takes one at a time too, and may be given again. Raises
    Failure naming the option that there is none of, or whose value makes no sense.
    """
    asked: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise refused(_OPTION, f"{setting!r} does not look like beam_size=8")
        if name not in DecodeSpec.model_fields:
            known = ", ".join(DecodeSpec.model_fields)
            raise refused(_OPTION, f"there is no {name!r}; there is {known}")
        usual = DecodeSpec.model_fields[name].default
        if isinstance(usual, tuple):
            asked[name] = [*asked.get(name, []), *_texts(text)]
        else:
            asked[name] = _text(text) if isinstance(usual, str) else _value(text)
    try:
        lay_over(DecodeSpec(), asked, within="")
    except SpecError as error:
        raise refused(_OPTION, str(error)) from error
    return asked


def _texts(text: str) -> list[Any]:
    value = _value(text)
    return value if isinstance(value, list) else [_text(text)]


def _text(text: str) -> str:
    value = _value(text)
    return value if isinstance(value, str) else text


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
