from pathlib import Path
from typing import Any

import pytest
import torch

from core.training.team import ALONE
from tests.core.training import member
from tests.core.training.teams import run


@pytest.fixture(scope="module", params=[2, 3])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run("gradients,few_rows,sums", request.param, tmp_path_factory.mktemp("team"))


def test_shares_of_a_batch_give_the_gradients_of_the_whole(found: dict[int, Any]) -> None:
    expected = member.gradients(ALONE)

    for sums, whole in zip(found[0]["gradients"], expected, strict=True):
        assert sums is whole is None or sums == pytest.approx(whole, rel=1e-5)
    for one in found.values():
        assert one["gradients"] == found[0]["gradients"]  # bit for bit, or they drift apart
    assert expected[-1] is None


def test_a_member_without_rows_takes_part_and_adds_nothing(found: dict[int, Any]) -> None:
    for one in found.values():
        assert one["few_rows"] == [[3.0] * 4, None]


def test_sums_are_the_same_everywhere_and_exact_for_counts(found: dict[int, Any]) -> None:
    size = len(found)
    ranks = range(size)
    counts = [sum(ranks), size * (2**40 + 1)]

    for one in found.values():
        assert one["sums"] == [sum(ranks) + size / 2, [counts], [[rank, 8] for rank in ranks]]


def test_a_member_that_ends_is_noticed_long_before_silence_would_tell(tmp_path: Path) -> None:
    assert "has lost the others" in run("vanish", 2, tmp_path)[0]


def test_a_member_that_falls_silent_ends_the_others(tmp_path: Path) -> None:
    assert "has lost the others" in run("hang", 2, tmp_path, silence_s=1)[0]


def test_alone_all_is_as_if_there_were_no_team() -> None:
    rows, loss = torch.arange(5).numpy(), torch.tensor(2.5)
    ALONE.add(loss)

    assert ALONE.share(rows).tolist() == [0, 1, 2, 3, 4]
    assert loss.item() == 2.5
    assert [one.item() for one in ALONE.gather(loss)] == [2.5]
    assert (ALONE.rank, ALONE.size) == (0, 1)
