"""Korean particles: what stands behind a noun without a space, 를 in 인터프리터를."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from core.text.hangul import final

# By what they are for; of two forms, the first stands behind a consonant.
FORMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "topic": ("은", "는"),
        "subject": ("이", "가"),
        "object": ("을", "를"),
        "name": ("이라고", "라고"),
        "means": ("으로", "로"),
        "and": ("과", "와"),
        "of": ("의",),
        "at": ("에",),
        "in": ("에서",),
        "to": ("에게",),
    }
)
_ROLES = {form: role for role, forms in FORMS.items() for form in forms}
_PILED = [
    f"{first}{second}" for first in ("에", "에서", "에게", "으로", "로") for second in "는도만의"
]
_OTHERS = ("도", "만", "까지", "부터", "처럼", "보다", "마다", "이라는", "라는", "한테", "께서")
_IS = ("이다", "입니다", "이며", "이고", "인", "이었다", "였다")
_ALL = sorted({*_ROLES, *_PILED, *_OTHERS, *_IS}, key=lambda form: (-len(form), form))
_BEHIND = re.compile(rf"(?<=[^\W_])(?:{'|'.join(_ALL)})(?![^\W_])")


def role_of(particle: str) -> str:
    """Return what ``particle`` is for, by the names in ``FORMS``."""
    return _ROLES[particle]


def fits(stem: str, particle: str) -> bool:
    """Return whether the sound at the end of ``stem`` asks for ``particle``: 값이, 수가.

    Behind letters or figures, which could be read in several ways, each form will do.
    """
    forms, last = FORMS.get(_ROLES.get(particle, ""), (particle,)), final(stem)
    if len(forms) == 1 or last is None:
        return True
    closed = last != "" and not (particle in {"으로", "로"} and last == "ㄹ")
    return closed == (particle == forms[0])


def without_particle(text: str) -> str:
    """Return ``text`` without the particle that it ends with, if it looks like one."""
    for found in _BEHIND.finditer(text):
        if found.end() == len(text) and fits(text[: found.start()], found.group()):
            return text[: found.start()]
    return text


def parted(text: str, by: str) -> str:
    """Return ``text`` with ``by`` before every particle that ends a word.

    It goes by form alone: what only looks like a particle, as at the end of 하는, is one here.
    """

    def part(found: re.Match[str]) -> str:
        particle = found.group()
        return f"{by}{particle}" if fits(text[: found.start()], particle) else particle

    return _BEHIND.sub(part, text)
