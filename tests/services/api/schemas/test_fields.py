from typing import Any

import pytest
from pydantic import ValidationError

from core.specs import DecodeSpec, lay_over
from services.api.schemas.fields import Decode

SEARCHED = {
    "beam_size": 6,
    "n_best": 2,
    "length_penalty": 0.5,
    "coverage_penalty": 0.1,
    "beam_groups": 3,
    "diversity": 0.5,
    "anti_generic": 0.2,
    "seed": 3,
    "min_tokens": 2,
    "max_tokens": 9,
    "no_repeat_ngram": 3,
    "repetition_penalty": 1.2,
    "skip": ["<unk>"],
    "banned": ["a"],
    "prefix": "b",
    "stop": ["\n"],
    "alignments": True,
}
DRAWN = {"temperature": 0.7, "top_k": 5, "top_p": 0.9}


def test_every_option_of_decoding_can_be_asked_for_by_its_name() -> None:
    assert list(Decode.model_fields) == list(DecodeSpec.model_fields)
    assert {*SEARCHED, *DRAWN, "required"} == {*DecodeSpec.model_fields}
    for asked in (SEARCHED, DRAWN, {"required": ["a"]}):
        chosen = Decode.model_validate(asked).chosen()
        assert chosen == asked
        found = lay_over(DecodeSpec(), chosen).model_dump(mode="json")
        assert {name: found[name] for name in asked} == asked


def test_limits_and_meanings_are_those_of_the_spec() -> None:
    told = Decode.model_json_schema()["properties"]
    for name, own in DecodeSpec.model_json_schema()["properties"].items():
        mine = {**told[name], **next(kind for kind in told[name].get("anyOf", [{}]))}
        for key in own.keys() - {"default", "title", "items", "anyOf"}:
            assert mine[key] == own[key], (name, key)


def test_what_is_left_out_is_not_said_and_null_switches_chance_off() -> None:
    assert Decode().chosen() == {}
    asked: dict[str, Any] = dict.fromkeys(Decode.model_fields)
    assert Decode.model_validate(asked).chosen() == dict.fromkeys(["temperature", "top_k", "top_p"])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"n_best": 3, "beam_size": 2}, r"n_best \(3\) cannot exceed beam_size \(2\)"),
        ({"temperature": 0.5, "beam_size": 2}, "temperature: sampling has no beam"),
        ({"temperature": 0.5, "required": ["a"]}, "required: only a beam can weigh"),
        ({"top_k": 4, "beam_size": 4}, "top_k: needs a temperature"),
        ({"beam_size": 1, "anti_generic": 0.1}, "anti_generic: there is nothing to rank anew"),
        ({"min_tokens": 9, "max_tokens": 3}, r"min_tokens \(9\) exceeds max_tokens \(3\)"),
        ({"prefix": "no.", "stop": ["."]}, "prefix: has '.' in it"),
        ({"stop": [""]}, "at least 1 character"),
        ({"banned": ["a\x00"]}, "the NUL character cannot be stored"),
        ({"required": ["a"] * 9}, "at most 8 items"),
        ({"prefix": "a" * 2001}, "at most 2000 characters"),
        ({"beams": 3}, "Extra inputs are not permitted"),
    ],
)
def test_what_makes_no_sense_whatever_the_model_is_refused_at_once(asked, says) -> None:
    with pytest.raises(ValidationError, match=says):
        Decode.model_validate(asked)


@pytest.mark.parametrize("asked", [{"min_tokens": 99}, {"n_best": 9}, {"top_p": 0.5}])
def test_what_one_model_could_do_is_left_to_it(asked) -> None:
    assert Decode.model_validate(asked).chosen() == asked
