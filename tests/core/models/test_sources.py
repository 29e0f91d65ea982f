import pytest
import torch
from torch import Tensor

from core.models.sources import COPYING, Sources


def held(*lengths: int) -> Sources:
    """Sources of so many steps each; what is held of a step names source and step."""
    with torch.no_grad():
        mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
        names = torch.arange(len(lengths)).unsqueeze(1) * 100.0 + torch.arange(max(lengths))
        return Sources.read(((names * mask).unsqueeze(-1),), mask)


def asked(sources: Sources) -> list[list[float]]:
    """Return what each line finds at the real steps of its source."""
    values = sources.parts[0].squeeze(-1)
    if sources.bias is not None:
        values = values.masked_fill(sources.bias.squeeze(1).isinf(), -1.0)
    slots = sources.gather(torch.zeros(sources.lines, 1, 1)) + values.unsqueeze(1)  # (R, K, S)
    found = sources.scatter(slots)[:, 0]
    return [[step for step in line if step >= 0] for line in found.tolist()]


def steps_of(source: int, length: int) -> list[float]:
    return [source * 100.0 + step for step in range(length)]


def rows(*numbers: int) -> Tensor:
    return torch.tensor(numbers)


def test_each_line_in_order_has_its_own_source_without_further_ado() -> None:
    sources = held(3, 1)
    assert sources.origins is None
    assert sources.select(rows(0, 1)) is sources
    assert asked(sources) == [steps_of(0, 3), steps_of(1, 1)]


def test_nothing_is_padded_where_all_are_as_long() -> None:
    assert held(2, 2).bias is None
    assert held(2, 1).bias is not None


@pytest.mark.parametrize(
    "chosen", [(0, 0, 1, 1), (1, 0, 0, 1), (1, 0), (0, 1, 1), (0, 0, 1, 0, 0, 1, 0)]
)
def test_lines_find_their_source_wherever_they_stand(chosen: tuple[int, ...]) -> None:
    sources = held(3, 3)
    after = sources.select(rows(*chosen))
    assert after.lines == len(chosen)
    assert after.parts is sources.parts  # none is copied
    assert asked(after) == [steps_of(source, 3) for source in chosen]


def test_lines_that_stay_with_their_source_change_nothing() -> None:
    sources = held(3, 2).select(rows(0, 0, 1, 1))
    assert sources.select(rows(1, 0, 3, 3)) is sources


def test_what_no_line_needs_goes_once_looking_at_it_has_cost_more_than_that() -> None:
    sources = held(2, 2, 2, 9)
    two = sources.select(rows(2, 1))
    assert two.parts is sources.parts
    looked = 1
    while two.parts is sources.parts:
        two = two.select(rows(1, 0))
        looked += 1
    # of 4 * 9 steps 2 * 2 are needed; copying those costs COPYING times as much as looking at them
    assert looked == COPYING * 4 // 32 + 1
    assert two.steps == 2
    assert two.lengths.tolist() == [2, 2]
    assert sorted(asked(two)) == [steps_of(1, 2), steps_of(2, 2)]


def test_one_wide_line_among_many_has_copies_instead_of_empty_slots() -> None:
    sources = held(*([2] * 9), 3)
    chosen = [*range(9), *([9] * 16)]
    wide = sources.select(rows(*chosen))
    assert wide.origins is None
    assert wide.parts[0].size(0) == len(chosen)
    assert asked(wide) == [steps_of(source, 3 if source == 9 else 2) for source in chosen]
    assert wide.select(rows(*range(9), *reversed(range(9, 25)))) is wide
    fewer = wide.select(rows(3, 9, 10))  # back to what is held once
    assert fewer.parts[0].size(0) == 2
    assert asked(fewer) == [steps_of(3, 2), steps_of(9, 3), steps_of(9, 3)]
    both = wide.join([held(4)])
    assert asked(both)[-1] == steps_of(0, 4)
    assert asked(both)[:-1] == asked(wide)


def test_who_joins_takes_the_place_of_who_has_left_unless_others_hold_it() -> None:
    sources = held(3, 1, 2).join([held(5, 5)])  # with a spare place
    for taken in range(1, 8):
        kept = [0, *range(2, sources.lines)]
        left = sources.select(rows(*kept))
        parts, before = left.parts, asked(left)
        if taken == 4:
            witness, seen = sources, asked(sources)
        else:
            sources = left  # nobody else holds the parts
        joined = left.join([held(taken % 5 + 1)])
        assert (joined.parts is parts) == (taken != 4)
        assert asked(joined) == [*before, steps_of(0, taken % 5 + 1)]
        sources, left = joined, joined
        del joined
    assert asked(witness) == seen


def test_a_place_that_is_taken_again_forgets_numbers_that_are_none() -> None:
    sources = held(3, 2, 3).join([held(2)])
    sources.parts[0][1] = torch.nan
    left = sources.select(rows(0, 2, 3))
    del sources
    joined = left.join([held(1), held(1)])
    assert joined.parts is left.parts
    assert all(part[joined.origins.of].isfinite().all() for part in joined.parts if joined.origins)


def test_those_who_join_keep_their_sources() -> None:
    first, second, third = held(3, 1).select(rows(1, 0, 1)), held(5), held(2, 2)
    joined = first.join([second, third])
    assert joined.lines == 6
    assert asked(joined) == [*asked(first), *asked(second), *asked(third)]
    assert held(2).join([held(2)]).bias is None
