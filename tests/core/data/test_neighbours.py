import subprocess
import sys
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.neighbours import Neighbours, shingles

QUESTIONS = (
    "비밀번호를 잊어버리면 어떻게 하나요?",
    "배송은 보통 며칠이나 걸립니까?",
    "Who wrote the book about the long road of words?",
    "When does the office open in the morning?",
    "How many people live in the old town today?",
)
SHOW = """
from core.data.neighbours import Neighbours, shingles, _buckets
found = Neighbours(enumerate(["What is the name of the river?", "한강은 어디에 있나요?"]))
print([(one.key, one.similarity) for one in found.like("what is the name of that river")])
print(b"".join(_buckets(shingles("한강은 어디에 있나요?"))).hex())
"""


def jaccard(one: str, other: str) -> float:
    first, second = shingles(one), shingles(other)
    return len(first & second) / len(first | second)


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ("비밀번호를 잊어버리면  어떻게 하나요", 0),
        ("비밀번호를 잊어버리면 어떻게 하지요?", 0),
        ("배송은 보통 며칠이나 걸리나요?", 1),
        ("WHO WROTE THE BOOK ABOUT THE LONG ROAD OF WORDS", 2),
        ("When does this office open in the morning?", 3),
        ("How many people live in the old city today?", 4),
        ("What colour is the sky?", None),
        ("영업시간이 어떻게 되나요?", None),
        ("", None),
        ("?!", None),
    ],
)
def test_the_nearest_question_is_found(asked: str, key: int | None) -> None:
    found = Neighbours(enumerate(QUESTIONS)).nearest(asked, least=0.5)
    assert (found.key if found else None) == key
    if found:
        assert found.similarity == jaccard(asked, QUESTIONS[found.key])


@given(st.lists(st.text()), st.text())
def test_what_is_found_is_as_alike_as_it_says(questions: list[str], asked: str) -> None:
    found = Neighbours(enumerate(questions)).like(asked, least=0.5)
    assert all(one.similarity == jaccard(asked, one.question) >= 0.5 for one in found)
    measured = [one.similarity for one in found]
    assert measured == sorted(measured, reverse=True)
    assert len({one.key for one in found}) == len(found)


@given(st.lists(st.text(), min_size=1), st.integers(0))
def test_a_question_that_is_there_is_always_found(questions: list[str], which: int) -> None:
    asked = questions[which % len(questions)]
    neighbours = Neighbours(enumerate(questions))
    nearest = neighbours.nearest(asked, least=1)
    assert nearest is not None
    assert shingles(nearest.question) == shingles(asked)
    assert nearest.key == next(
        key for key, one in enumerate(questions) if shingles(one) == shingles(asked)
    )
    assert len(neighbours) == len({shingles(one) for one in questions})


def test_few_that_are_alike_are_missed() -> None:
    words = ("town", "river", "road", "light", "paper", "bread", "birds", "sleep", "water", "stone")
    questions = [
        f"{a} {b} {c} and {d} in the year of the {e}?" for a, b, c, d, e in combinations(words, 5)
    ]
    neighbours = Neighbours(enumerate(questions))
    wanted = found = 0
    for asked in questions[::3]:
        alike = {key for key, one in enumerate(questions) if jaccard(asked, one) >= 0.7}
        told = {one.key for one in neighbours.like(asked)}
        assert told <= alike
        wanted, found = wanted + len(alike), found + len(told)
    assert wanted > 100
    assert found >= 0.99 * wanted


@pytest.mark.parametrize("seed", ["0", "1"])
def test_it_is_the_same_in_every_process(seed: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", SHOW],
        env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    ).stdout.split("\n")
    assert told[0] == "[(0, 0.782608695652174)]"
    assert told[1].startswith("009bf71008280d093d6a1be01ef741601c0151017a04c205fb47f1eecf0fa98c")


@pytest.mark.parametrize("least", [0.49, 1.01])
def test_what_would_be_missed_cannot_be_asked_for(least: float) -> None:
    with pytest.raises(ValueError, match="least"):
        Neighbours[int]().like("a", least=least)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([*QUESTIONS, "  when DOES the OFFICE"]))),
    st.lists(st.integers(0, 5)),
)
def test_what_is_forgotten_leaves_nothing_behind(
    added: list[tuple[int, str]], removed: list[int]
) -> None:
    neighbours = Neighbours(added)
    for key in removed:
        neighbours.remove(key)
    last = {key: question for key, question in added if key not in removed}
    assert len(neighbours) == len({shingles(one) for one in last.values()})
    for key, question in last.items():
        assert key in [one.key for one in neighbours.like(question, least=1)]
    for key in last:
        neighbours.remove(key)
    assert len(neighbours) == 0
    assert not neighbours._buckets  # memory that stays would grow with every review
