import json
import math
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from services.cli.failures import Failure
from services.cli.following import Event
from services.cli.results import CURVE_POINTS, Curve, Result, read_results, thinned, write_result


def result(name: str = "addition", seed: int = 1, **changes: object) -> Result:
    return Result(**{
        "recipe": name,
        "seed": seed,
        "quick": False,
        "data": "toy: 45,000, 5,000 held out",
        "plan": {"task": "transform"},
        "curve": [],
        "metrics": {"exact_match": 0.5},
        "report": {"metrics": {"exact_match": 0.5}, "parameters": 12, "samples": []},
        **changes,
    })  # fmt: skip


def test_a_curve_is_gathered_from_what_a_training_tells() -> None:
    curve = Curve()
    for event in (
        Event("progress", {"stage": "train", "elapsed_s": 1.5}),
        Event("metrics", {"epoch": 0, "loss": 2.0, "learning_rate": 0.1}, step=20),
        Event("progress", {"stage": "report"}),
        Event("log", {"message": "words"}),
        Event("metrics", {"epoch": 1, "valid_loss": 1.0, "scores": {"bleu": 3.0}}, step=40),
    ):
        curve.hear(event)
    assert curve.points == [
        {"step": 20, "epoch": 0, "seconds": 1.5, "loss": 2.0},
        {"step": 40, "epoch": 1, "seconds": 1.5, "valid_loss": 1.0, "bleu": 3.0},
    ]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    second, first = result(seed=2), result(seed=1, metrics={"exact_match": 1 / 3})
    for one in (second, first):
        write_result(one, tmp_path)
    found = read_results(tmp_path)
    assert [one.seed for one in found] == [1, 2]
    assert found[0].metrics == {"exact_match": 0.33333}
    assert "metrics" not in found[0].report


def test_the_same_seed_takes_the_place_of_the_run_before(tmp_path: Path) -> None:
    write_result(result(metrics={"exact_match": 0.1}), tmp_path)
    write_result(result(metrics={"exact_match": 0.2}), tmp_path)
    assert [one.metrics for one in read_results(tmp_path)] == [{"exact_match": 0.2}]


def test_a_file_stays_small_whatever_the_run_told(tmp_path: Path) -> None:
    curve = [
        {"step": n, "epoch": 0, "seconds": n / 7, "loss": math.pi / (n + 1)} for n in range(9999)
    ]
    pieces = ["piece"] * 30
    attention = {"source": pieces, "output": pieces, "weights": [[0.123] * 30] * 30}
    sample = {"context": ["c" * 200], "target": "t" * 200, "output": "o" * 200, "score": -1.0}
    report = {"parameters": 1, "samples": [sample] * 10, "attention": [attention] * 9}
    path = write_result(result(curve=curve, report=report), tmp_path)
    assert path.stat().st_size < 50_000
    assert len(json.loads(path.read_text())["report"]["attention"]) == 4


def test_thinning_keeps_the_last_point_of_each_kind() -> None:
    losses = [{"step": n, "loss": 1.0} for n in range(1000)]
    scores = [{"step": n, "valid_loss": 1.0} for n in range(0, 1000, 50)]
    kept = thinned([*losses, *scores])
    assert len(kept) <= 2 * CURVE_POINTS
    assert losses[-1] in kept
    assert all(score in kept for score in scores)
    assert [one["step"] for one in kept] == sorted(one["step"] for one in kept)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", ""),
        ("[]", ""),
        ('{"recipe": "addition"}', "seed"),
        (json.dumps(asdict(result(curve=None))), "curve"),
        (json.dumps(asdict(result(curve=[{"step": 1, "epoch": 1}]))), r"curve\.0\.seconds"),
        (json.dumps(asdict(result(report={}))), r"report\.parameters"),
    ],
)
def test_a_file_that_is_no_result_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(Failure) as failure:
        read_results(tmp_path)
    assert re.search(rf"odd\.json is no result of a recipe: .*{said}", str(failure.value.problem))
