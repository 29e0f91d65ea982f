"""What all specs share: they never change, refuse unknown keys, and name the wrong field."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import SpecError


class Spec(BaseModel):
    """A description that never changes once made and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


SpecT = TypeVar("SpecT", bound=Spec)


def merge(plan: SpecT, overrides: dict[str, Any], *, within: str = "") -> SpecT:
    """Lay nested ``overrides`` such as ``{"train": {"seed": 2}}`` over ``plan``.

    Raises SpecError naming the first key or value that does not fit, as ``parse`` does.
    """
    return parse(type(plan), _overlay(plan.model_dump(), overrides), within=within)


def parse(kind: type[SpecT], data: object, *, within: str = "") -> SpecT:
    """Validate ``data`` as a spec; raises SpecError naming the first field that does not fit.

    ``within`` is where the caller has ``data``, and the field is named from there.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        inside, reason = _reason(kind, first)
        field = ".".join(str(part) for part in (within, *first["loc"], inside) if part != "")
        raise SpecError(f"{field or kind.__name__}: {reason}", field=field) from error


def _reason(kind: type[Spec], fault: Mapping[str, Any]) -> tuple[str, str]:
    """Return the field that a spec's own check blames, if it names one, and what is wrong."""
    if fault["type"] == "extra_forbidden" and (names := _names(kind, fault["loc"][:-1])):
        return "", f"there is no such key; there is {', '.join(names)}"
    message = str(fault["msg"]).removeprefix("Value error, ")
    blamed, colon, rest = message.partition(": ")
    if colon and blamed.split(".")[0] in _names(kind, fault["loc"]):
        return blamed, rest
    return "", message


def _names(kind: type[Spec], location: Sequence[Any]) -> list[str]:
    """Return the keys that the spec at ``location`` knows; none if there is no single spec."""
    for part in location:
        inside = kind.model_fields[part].annotation if part in kind.model_fields else None
        if not (isinstance(inside, type) and issubclass(inside, Spec)):
            return []
        kind = inside
    return list(kind.model_fields)


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            merged[key] = _overlay(under, value)
        else:
            merged[key] = value
    return merged
