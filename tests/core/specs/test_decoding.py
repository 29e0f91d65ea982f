from typing import Any

import pytest

from core.errors import SpecError
from core.specs import DecodeSpec, Plan, merge, parse
from core.specs.decoding import DecodeOptions

GREEDY: dict[str, Any] = {"beam_size": 1}
DRAWN: dict[str, Any] = {"beam_size": 1, "temperature": 0.8}


@pytest.mark.parametrize(
    ("options", "field", "says"),
    [
        ({"temperature": 1.0}, "temperature", "sampling has no beam"),
        ({"top_k": 3}, "top_k", "nothing is drawn without one"),
        ({**GREEDY, "top_p": 0.9}, "top_p", "nothing is drawn without one"),
        ({"n_best": 5}, "", r"n_best \(5\) cannot exceed beam_size \(4\)"),
        ({**GREEDY, "anti_generic": 0.1}, "anti_generic", "nothing to rank anew without a beam"),
        ({**DRAWN, "anti_generic": 0.1}, "anti_generic", "nothing to rank anew without a beam"),
        ({**GREEDY, "coverage_penalty": 1}, "coverage_penalty", "nothing to rank without a beam"),
        ({**DRAWN, "required": ["a"]}, "required", "only a beam can weigh"),
        ({"beam_groups": 3, "diversity": 1}, "", r"beam_groups \(3\) must divide beam_size \(4\)"),
        ({"beam_groups": 2}, "beam_groups", "nothing keeps groups apart without a diversity"),
        ({"diversity": 0.5}, "diversity", "one group has no other to differ from"),
        (
            {"beam_groups": 2, "diversity": 1, "required": ["a"]},
            "required",
            "groups of a beam cannot share phrases",
        ),
        ({"min_tokens": 65}, "", r"min_tokens \(65\) exceeds max_tokens \(64\)"),
        ({"prefix": "Dear all", "stop": ["r a"]}, "prefix", "has 'r a' in it, which is stop"),
        ({"prefix": "Dear", "banned": ["ear"]}, "prefix", "has 'ear' in it, which is banned"),
        ({"required": ["b", "abc"], "banned": ["bc"]}, "required", "'abc' has 'bc' in it, which"),
        ({"required": ["yes."], "stop": ["."]}, "required", "'yes.' has '.' in it, which is stop"),
        ({"banned": [""]}, "banned.0", "at least 1 character"),
        ({"stop": ["a", ""]}, "stop.1", "at least 1 character"),
        ({"required": ["x" * 201]}, "required.0", "at most 200 characters"),
        ({"skip": [""]}, "skip.0", "at least 1 character"),
        ({"stop": ["a"] * 17}, "stop", "at most 16 items"),
        ({"repetition_penalty": 0.9}, "repetition_penalty", "greater than or equal to 1"),
        ({**DRAWN, "top_p": 0}, "top_p", "greater than 0"),
        ({"beams": 4}, "beams", "there is no such key; there is beam_size, n_best, "),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    options: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        parse(DecodeSpec, options, within="decode")
    assert caught.value.field == f"decode.{field}".removesuffix(".")


@pytest.mark.parametrize(
    "options",
    [
        {},
        GREEDY,
        {**DRAWN, "n_best": 16, "top_k": 40, "top_p": 0.95, "seed": 7},
        {"beam_size": 6, "beam_groups": 3, "diversity": 0.5, "n_best": 6, "coverage_penalty": 0.2},
        {"required": ["ab", "bc"], "prefix": "a", "stop": ["\n"], "banned": [" "]},
        {**GREEDY, "prefix": "a", "min_tokens": 3, "no_repeat_ngram": 3, "alignments": True},
    ],
)
def test_what_makes_sense_is_taken_and_kept(options: dict[str, Any]) -> None:
    spec = DecodeSpec.model_validate(options)
    assert DecodeSpec.model_validate_json(spec.model_dump_json()) == spec


def test_every_option_says_what_it_is_for() -> None:
    assert DecodeSpec.model_fields.keys() == DecodeOptions.model_fields.keys()
    assert all(option.description for option in DecodeSpec.model_fields.values())


def test_a_language_model_may_have_a_beam_too() -> None:
    plan = merge(
        Plan(),
        {
            "task": "language",
            "model": {"encoder": "none", "bidirectional": False},
            "decode": {"beam_size": 5},
        },
    )
    assert plan.decode.beam_size == 5
