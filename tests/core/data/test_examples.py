import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.examples import (
    Dialogue,
    Example,
    Exchange,
    Pair,
    Text,
    content_of,
    example_of,
    exchanges,
    place,
    split_at,
    split_of,
)
from core.errors import InputError

texts = st.text(min_size=1)
examples = st.one_of(
    st.builds(Pair, texts, texts),
    st.builds(Dialogue, st.lists(texts, min_size=2).map(tuple)),
    st.builds(Text, texts),
)
shares = st.floats(0, 0.5)


@given(example=examples)
def test_an_example_comes_back_from_its_content(example: Example) -> None:
    assert example_of(content_of(example)) == example


def test_a_pair_is_one_exchange() -> None:
    assert [*exchanges(Pair("hi", "hello"), context_turns=3)] == [Exchange(("hi",), "hello")]


@pytest.mark.parametrize(
    ("context_turns", "last"), [(1, ("c",)), (2, ("b", "c")), (9, ("a", "b", "c"))]
)
def test_every_turn_but_the_first_is_a_reply(context_turns: int, last: tuple[str, ...]) -> None:
    found = [*exchanges(Dialogue(("a", "b", "c", "d")), context_turns=context_turns)]

    assert [one.reply for one in found] == ["b", "c", "d"]
    assert found[0].context == ("a",)
    assert found[2].context == last


@given(source=texts, valid_share=shares, test_share=shares)
def test_examples_with_one_source_are_never_parted(
    source: str, valid_share: float, test_share: float
) -> None:
    alike = [
        Pair(source, "one"),
        Pair(source, "another"),
        Pair(f"  {source}\n", "one"),
        Dialogue((source, "one", "two")),
    ]

    splits = {split_of(one, valid_share=valid_share, test_share=test_share) for one in alike}

    assert len(splits) == 1


def test_case_and_spacing_do_not_part_examples() -> None:
    assert place(Pair("Where  is\tit?", "a")) == place(Pair("where is it?", "b"))


def test_the_place_of_a_source_never_changes_between_versions() -> None:
    assert place(Pair("안녕하세요", "네")) == pytest.approx(0.1734649, abs=1e-6)


def test_shares_are_about_kept() -> None:
    splits = [
        split_of(Pair(f"source {n}", "t"), valid_share=0.1, test_share=0.2) for n in range(5000)
    ]

    assert 0.08 < splits.count("valid") / 5000 < 0.12
    assert 0.17 < splits.count("test") / 5000 < 0.23


def test_nobody_replies_to_running_text() -> None:
    with pytest.raises(InputError, match="language models"):
        next(exchanges(Text("once upon a time"), context_turns=1))


@pytest.mark.parametrize(
    ("where", "split"),
    [(0.0, "train"), (0.84, "train"), (0.86, "valid"), (0.94, "valid"), (0.96, "test")],
)
def test_running_text_is_learned_then_validated_then_tested(where: float, split: str) -> None:
    assert split_at(where, valid_share=0.1, test_share=0.05) == split
