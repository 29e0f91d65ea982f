import math

import pytest

from core.specs import TrainSpec
from core.training.forcing import truth


@pytest.mark.parametrize("forcing", ["teacher", "linear", "sigmoid", "free"])
def test_the_chance_of_the_truth_is_a_chance_and_never_grows(forcing) -> None:
    spec = TrainSpec(forcing=forcing, forcing_steps=50)
    chances = [truth(spec, updates=updates) for updates in [*range(200), 10**9]]
    assert chances == sorted(chances, reverse=True)
    assert all(0 <= chance <= 1 for chance in chances)


def test_teacher_always_tells_and_free_never_does() -> None:
    assert truth(TrainSpec(forcing="teacher"), updates=10**6) == 1.0
    assert truth(TrainSpec(forcing="free"), updates=0) == 0.0


def test_a_line_reaches_nothing_after_its_steps() -> None:
    spec = TrainSpec(forcing="linear", forcing_steps=80)
    assert [truth(spec, updates=at) for at in (0, 20, 80, 81)] == [1.0, 0.75, 0.0, 0.0]


def test_the_inverse_sigmoid_is_that_of_the_paper() -> None:
    spec = TrainSpec(forcing="sigmoid", forcing_steps=10)
    assert truth(spec, updates=23) == pytest.approx(10 / (10 + math.exp(2.3)))
