"""What a request asks of a reply, laid over what its model was given."""

from collections.abc import Mapping
from typing import Any

from core.specs.base import parse
from core.specs.decoding import DecodeOptions, DecodeSpec

_WIDTH, _WIDEST = 4, 16  # of a beam: where one is needed and nobody says how wide, and at most
_HEAT = 1.0  # where words are to be drawn and nobody says how
_DIVERSITY = 0.5  # Vijayakumar et al. 2018 find 0.2 to 0.8 to do well
_OF_A_BEAM = ("coverage_penalty", "beam_groups", "diversity", "anti_generic", "required")
_OF_CHANCE = ("temperature", "top_k", "top_p")
_PLAIN = DecodeSpec()


def lay_over(own: DecodeSpec, asked: Mapping[str, Any], *, within: str = "decode") -> DecodeSpec:
    """Return the options ``asked`` for, and for the rest the model's ``own``.

    What was asked for decides about the rest: whoever wants phrases in a reply gets a beam, and
    whoever wants words drawn by chance gets none. Raises SpecError naming the field where
    ``asked`` itself makes no sense, or forbids a text that the reply is to have.
    """
    if not asked:
        return own
    options = parse(DecodeOptions, {**own.model_dump(), **asked}, within=within)
    chosen = options.model_dump()
    for decide in (_chance, _width, _groups, _lengths):
        rest = decide(chosen, {name: chosen[name] for name in asked}, own)
        chosen |= {name: value for name, value in rest.items() if name not in asked}
    return parse(DecodeSpec, chosen, within=within)


def _chance(chosen: dict[str, Any], asked: dict[str, Any], own: DecodeSpec) -> dict[str, Any]:
    """Decide whether words are drawn."""
    if _wants(asked, *_OF_CHANCE) and not _wants_a_beam(asked):
        return {"temperature": own.temperature or _HEAT}
    if _wants_a_beam(asked) or chosen["temperature"] is None:
        return dict.fromkeys(_OF_CHANCE)
    return {}


def _width(chosen: dict[str, Any], asked: dict[str, Any], own: DecodeSpec) -> dict[str, Any]:
    """Decide how many hypotheses there are side by side, and how many are told of."""
    drawn = chosen["temperature"] is not None
    best = chosen["n_best"] if "n_best" in asked or drawn == (own.temperature is not None) else 1
    if drawn:
        return {**_without(*_OF_A_BEAM), "beam_size": 1, "n_best": best}
    width = chosen["beam_size"]
    if "beam_size" not in asked:
        width = max(width, best, _WIDTH if _wants_a_beam(asked) and width == 1 else 1)
    rest = _without(*_OF_A_BEAM) if width == 1 else {}
    return {**rest, "beam_size": width, "n_best": min(best, width)}


def _groups(chosen: dict[str, Any], asked: dict[str, Any], own: DecodeSpec) -> dict[str, Any]:
    """Decide what keeps hypotheses apart, or together."""
    del own
    width, groups = chosen["beam_size"], chosen["beam_groups"]
    if width == 1:
        return {}
    if _wants(asked, "beam_groups", "diversity"):
        if "beam_groups" not in asked and (groups == 1 or width % groups):
            groups = width
        width = min(-(-width // groups), _WIDEST // groups) * groups
        diversity = chosen["diversity"] or _DIVERSITY
        return {
            **_without("required"),
            "beam_size": width,
            "n_best": min(chosen["n_best"], width),
            "beam_groups": groups,
            "diversity": diversity,
        }
    apart = chosen["diversity"] and groups > 1
    if not apart or width % groups or _wants(asked, "required"):
        return _without("beam_groups", "diversity")
    return {}


def _lengths(chosen: dict[str, Any], asked: dict[str, Any], own: DecodeSpec) -> dict[str, Any]:
    """Decide about the shortest and the longest reply."""
    del own
    if "max_tokens" in asked:
        return {"min_tokens": min(chosen["min_tokens"], chosen["max_tokens"])}
    return {"max_tokens": max(chosen["min_tokens"], chosen["max_tokens"])}


def _wants_a_beam(asked: Mapping[str, Any]) -> bool:
    return asked.get("beam_size", 1) > 1 or _wants(asked, *_OF_A_BEAM)


def _wants(asked: Mapping[str, Any], *names: str) -> bool:
    return any(name in asked and asked[name] != getattr(_PLAIN, name) for name in names)


def _without(*names: str) -> dict[str, Any]:
    return {name: getattr(_PLAIN, name) for name in names}
