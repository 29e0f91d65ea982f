from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import SpecError
from core.specs import DecodeSpec
from core.specs.asking import lay_over

options = st.fixed_dictionaries(
    {},
    optional={
        "beam_size": st.integers(1, 16),
        "n_best": st.integers(1, 16),
        "coverage_penalty": st.sampled_from([0.0, 0.3]),
        "beam_groups": st.integers(1, 16),
        "diversity": st.sampled_from([0.0, 0.7]),
        "anti_generic": st.sampled_from([0.0, 0.4]),
        "temperature": st.sampled_from([None, 0.5, 2.0]),
        "top_k": st.sampled_from([None, 5]),
        "top_p": st.sampled_from([None, 0.5]),
        "min_tokens": st.integers(0, 512),
        "max_tokens": st.integers(1, 512),
        "required": st.sampled_from([(), ("a",)]),
    },
)


def fits(own: DecodeSpec, asked: dict[str, Any]) -> bool:
    try:
        lay_over(own, asked)
    except SpecError:
        return False
    return True


@pytest.mark.parametrize(
    ("own", "asked", "chosen"),
    [
        ({"beam_size": 4}, {"temperature": 0.7}, {"beam_size": 1, "temperature": 0.7}),
        ({"beam_size": 4, "n_best": 3}, {"temperature": 0.7}, {"n_best": 1}),
        ({"beam_size": 4}, {"top_p": 0.7}, {"beam_size": 1, "temperature": 1.0, "top_p": 0.7}),
        ({"beam_size": 4}, {"n_best": 6}, {"beam_size": 6, "n_best": 6}),
        ({"beam_size": 4, "n_best": 4}, {"beam_size": 2}, {"beam_size": 2, "n_best": 2}),
        ({"anti_generic": 0.3}, {"beam_size": 1}, {"anti_generic": 0.0}),
        ({}, {"skip": ["a"]}, {"skip": ("a",), "beam_size": 4}),
        ({"beam_size": 1}, {"required": ["a"]}, {"beam_size": 4, "required": ("a",)}),
        ({"beam_size": 1}, {"coverage_penalty": 0.2, "n_best": 6}, {"beam_size": 6, "n_best": 6}),
        ({"beam_size": 5}, {"beam_groups": 3}, {"beam_size": 6, "diversity": 0.5}),
        ({"beam_size": 5}, {"diversity": 0.2}, {"beam_groups": 5, "diversity": 0.2}),
        ({"beam_size": 4}, {"beam_groups": 7, "n_best": 15}, None),
        ({"beam_size": 4}, {"temperature": 0.7, "beam_size": 2}, None),
        ({"max_tokens": 9}, {"min_tokens": 12}, {"min_tokens": 12, "max_tokens": 12}),
        ({"min_tokens": 9}, {"max_tokens": 5}, {"min_tokens": 5, "max_tokens": 5}),
    ],
)
def test_what_is_asked_decides_about_the_rest(own, asked, chosen) -> None:
    if chosen is None:
        assert not fits(DecodeSpec(**own), asked)
        return
    found = lay_over(DecodeSpec(**own), asked).model_dump()
    assert {key: found[key] for key in chosen} == chosen


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ({"beam_size": 3}, {"temperature": None, "top_k": None, "n_best": 1}),
        ({"max_tokens": 3}, {"temperature": 0.7, "top_k": 9, "n_best": 2}),
        ({"n_best": 3}, {"temperature": 0.7, "n_best": 3, "beam_size": 1}),
        ({"temperature": None}, {"temperature": None, "top_k": None, "n_best": 1, "beam_size": 1}),
        ({"top_p": 0.5}, {"temperature": 0.7, "top_k": 9}),
        ({"diversity": 0.5}, {"temperature": None, "beam_size": 4, "beam_groups": 4}),
    ],
)
def test_a_model_that_draws_does_so_until_something_else_is_asked(asked, chosen) -> None:
    own = DecodeSpec(beam_size=1, temperature=0.7, top_k=9, n_best=2)
    found = lay_over(own, asked).model_dump()
    assert {key: found[key] for key in chosen} == chosen


@given(own=options, asked=options)
@example(own={"n_best": 10}, asked={"beam_groups": 9})  # only nine beams go into sixteen
@settings(max_examples=600, deadline=None)
def test_what_fits_one_model_fits_every_model_and_is_never_changed(own, asked) -> None:
    plain = DecodeSpec()
    mine = lay_over(plain, own) if fits(plain, own) else plain
    assert fits(mine, asked) == fits(plain, asked)
    if fits(mine, asked):
        found = lay_over(mine, asked).model_dump()
        assert {name: found[name] for name in asked} == asked


@given(asked=options)
def test_each_option_alone_fits(asked) -> None:
    for name, value in asked.items():
        assert fits(DecodeSpec(), {name: value})


def test_nothing_asked_changes_nothing() -> None:
    own = DecodeSpec(beam_size=2, prefix="a")
    assert lay_over(own, {}) is own


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"beam_size": "many"}, "decode.beam_size"),
        ({"beam_size": None}, "decode.beam_size"),
        ({"stop": [1]}, "decode.stop.0"),
        ({"temperature": 0.5, "required": ["a"]}, "decode.required"),
        ({"top_p": 0.5, "beam_size": 3}, "decode.top_p"),
        ({"prefix": "never"}, "decode.prefix"),
    ],
)
def test_what_makes_no_sense_is_named(asked, field) -> None:
    with pytest.raises(SpecError) as caught:
        lay_over(DecodeSpec(banned=("eve",)), asked)
    assert caught.value.field == field
