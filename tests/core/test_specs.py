from typing import Any

import pytest

from core.errors import SpecError
from core.specs import DecodeSpec, Plan, TrainJob, merge, parse


@pytest.mark.parametrize(
    ("overrides", "field", "says"),
    [
        ({"train": {"nonsense": 3}}, "train.nonsense", r"no such key; there is seed, precision, "),
        ({"nonsense": 3}, "nonsense", "no such key; there is task, context_turns, "),
        ({"train": {"seed": -1}}, "train.seed", "greater than or equal to 0"),
        ({"decode": {"beam_size": 2, "n_best": 3}}, "decode", r"n_best \(3\) cannot exceed"),
        ({"decode": {"temperature": 1.0}}, "decode.temperature", "sampling has no beam"),
        ({"model": {"attention": "none", "coverage": True}}, "model.coverage", "needs attention"),
        ({"model": {"attention": "dot"}}, "model.attention", "dot compares equal sizes"),
        ({"model": {"bridge": "last"}}, "model.bridge", "last hands each layer's state over"),
        ({"model": {"window": 5}}, "model.window", "only a language model"),
        ({"model": {"encoder": "transformer"}}, "model.embedding_dim", "must equal hidden_dim"),
        ({"train": {"momentum": 0.9}}, "train.momentum", "belongs to sgd"),
        ({"task": "language"}, "model.encoder", "the task language, and it alone"),
    ],
)
def test_what_does_not_fit_a_plan_is_named_once(
    overrides: dict[str, Any], field: str, says: str
) -> None:
    for within in ("", "overrides"):
        where = f"{within}.{field}" if within else field
        with pytest.raises(SpecError, match=f"^{where}: [^:]*{says}[^:]*$") as caught:
            merge(Plan(), overrides, within=within)
        assert caught.value.field == where


def test_a_key_deep_inside_is_told_what_there_is() -> None:
    with pytest.raises(
        SpecError, match=r"^plan\.model\.layers: .* encoder, decoder, embedding_dim, "
    ):
        parse(TrainJob, {"plan": {"model": {"layers": 2}}})


def test_what_is_wrong_with_the_whole_is_named_by_where_it_is() -> None:
    wrong = {"beam_size": 1, "n_best": 2}
    with pytest.raises(SpecError, match=r"^decode: n_best"):
        parse(DecodeSpec, wrong, within="decode")
    with pytest.raises(SpecError, match=r"^DecodeSpec: n_best"):
        parse(DecodeSpec, wrong)
