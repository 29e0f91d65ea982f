import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.curve import BLOCKS, sparkline


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([3.0, 3.0, 3.0], "▁▁▁"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([2.0, math.nan, 1.0, math.inf], "█▁"),
    ],
)
def test_the_lowest_is_lowest_and_the_highest_highest(values: list[float], drawn: str) -> None:
    assert sparkline(values, width=10) == drawn


def test_more_values_than_room_are_averaged() -> None:
    assert sparkline([4.0, 4.0, 4.0, 4.0, 0.0, 0.0], width=3) == "██▁"


@given(st.lists(st.floats(-1e6, 1e6)), st.integers(1, 20))
def test_it_never_takes_more_room_than_it_has(values: list[float], width: int) -> None:
    drawn = sparkline(values, width=width)
    assert len(drawn) == min(width, len(values))
    assert set(drawn) <= set(BLOCKS)
