from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.examples import Pair
from core.data.made_names import names, template_words
from core.data.made_up import algorithms, calculator, input_length
from core.errors import InputError
from core.recipes.materials import Material


def test_the_calculator_asks_everything_once_and_is_right() -> None:
    splits = calculator(Material(reader="calculator", valid=2000))
    pairs = [pair for split in splits.values() for pair in split]

    assert {name: len(split) for name, split in splits.items()} == {
        "train": 18_000,
        "valid": 2_000,
        "test": 0,
    }
    assert len({pair.source for pair in pairs}) == 2 * 100 * 100
    assert Pair("50+9", "59") in pairs
    assert Pair("9-50", "-41") in pairs


def result(source: str) -> str:
    """Do what ``source`` says, in another way than the maker did."""
    name, value = source.split()
    if name == "program":
        values: dict[str, int] = {}
        exec(value, {}, values)  # digits and signs, made a line above
        return str(values[value.rsplit(";", 1)[-1][0]])
    return {
        "copy": value,
        "reverse": "".join(reversed(value)),
        "sort": "".join(digit * value.count(digit) for digit in "0123456789"),
        "parity": ("even", "odd")[sum(map(int, value)) % 2] if set(value) <= {*"01"} else "",
    }[name]


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), longest=st.integers(1, 6))
def test_algorithms_are_right_and_test_lengths_are_their_own(seed: int, longest: int) -> None:
    material = Material(
        reader="algorithms",
        seed=seed,
        lengths=(1, longest),
        test_lengths=(longest + 1, longest + 2),
        count=300,
        valid=0.1,
    )
    splits = algorithms(material)
    known = splits["train"] + splits["valid"]

    assert all(pair.target == result(pair.source) for split in splits.values() for pair in split)
    assert {input_length(pair.source) for pair in known} == {*range(1, longest + 1)}
    assert {input_length(pair.source) for pair in splits["test"]} == {longest + 1, longest + 2}
    assert max(Counter(pair.source for split in splits.values() for pair in split).values()) == 1
    assert algorithms(material) == splits


def test_single_algorithms_can_be_asked_for() -> None:
    splits = algorithms(Material(reader="algorithms", algorithms=("sort", "copy"), count=500))

    assert {pair.source.split()[0] for pair in splits["train"]} == {"sort", "copy"}


def test_no_name_is_met_twice_and_sentences_share_theirs() -> None:
    splits = names(Material(reader="names", count=1000, valid=100, test=0.2))
    common = Counter(
        word
        for split in splits.values()
        for pair in split
        for word in set(pair.source.split()) | set(pair.target.split())
    )
    made = {word for word in common if word[0].isupper()}

    assert {name: len(split) for name, split in splits.items()} == {
        "train": 700,
        "valid": 100,
        "test": 200,
    }
    assert all(common[name] == 1 for name in made)
    assert len(common) - len(made) == template_words()
    for pair in splits["test"]:
        said, answered = ({*text.split()} & made for text in (pair.source, pair.target))
        assert said == answered


def test_names_are_the_same_for_one_seed_only() -> None:
    material = Material(reader="names", count=50, valid=5)
    other = Material(reader="names", count=50, valid=5, seed=2)

    assert names(material) == names(material) != names(other)


def test_names_need_some_to_train_on() -> None:
    with pytest.raises(InputError, match="none to train on"):
        names(Material(reader="names", count=10, valid=10))
