import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.examples import Pair, Text, split_of
from core.data.holdout import hold_out
from core.errors import InputError
from core.recipes.materials import Material

pairs = st.lists(
    st.builds(Pair, st.sampled_from([f"source {n}" for n in range(40)]), st.text(max_size=3)),
    min_size=20,
    max_size=80,
)
shares = st.one_of(st.integers(0, 4), st.floats(0, 0.2))


def divided(valid: float, test: float = 0, split_by: str = "source") -> Material:
    return Material(reader="table", valid=valid, test=test, split_by=split_by)


@given(pairs=pairs, valid=shares, test=shares, split_by=st.sampled_from(["source", "target"]))
def test_nothing_is_lost_and_equals_are_never_parted(
    pairs: list[Pair], valid: float, test: float, split_by: str
) -> None:
    try:
        splits = hold_out(pairs, divided(valid, test, split_by))
    except InputError:
        return

    sides = [{getattr(pair, split_by).casefold() for pair in split} for split in splits.values()]
    assert sum(map(len, splits.values())) == len(pairs)
    assert sum(map(len, sides)) == len(set().union(*sides))
    for split in splits.values():
        assert split == [pair for pair in pairs if pair in split]
    for share, split in ((valid, splits["valid"]), (test, splits["test"])):
        assert len(split) <= share if isinstance(share, int) else split or not share


@given(valid=st.integers(0, 20), test=st.integers(0, 20))
def test_a_number_of_different_sources_is_held_out_exactly(valid: int, test: int) -> None:
    splits = hold_out([Pair(f"q {n}", "a") for n in range(50)], divided(valid, test))

    assert (len(splits["valid"]), len(splits["test"])) == (valid, test)


def test_a_share_divides_as_an_import_would() -> None:
    examples = [Pair(f"q {n}", "a") for n in range(200)]
    splits = hold_out(examples, divided(0.1, 0.2))

    for name, split in splits.items():
        assert split == [
            one for one in examples if split_of(one, valid_share=0.1, test_share=0.2) == name
        ]


@given(
    lengths=st.lists(st.integers(1, 30), min_size=6, max_size=30),
    valid=st.one_of(st.integers(0, 2), st.floats(0, 0.3)),
    test=st.one_of(st.integers(0, 2), st.floats(0, 0.3)),
)
def test_running_text_stays_in_order(lengths: list[int], valid: float, test: float) -> None:
    texts = [Text(f"{n} " + "x" * length) for n, length in enumerate(lengths)]
    splits = hold_out(texts, divided(valid, test))

    assert splits["train"] + splits["valid"] + splits["test"] == texts
    for share, split in ((valid, splits["valid"]), (test, splits["test"])):
        assert len(split) == share if isinstance(share, int) else bool(split) == (share > 0)


def test_holding_out_everything_is_refused() -> None:
    with pytest.raises(InputError, match="none to train on"):
        hold_out([Pair("a", "b")], divided(1))
