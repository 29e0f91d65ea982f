"""The verdict over two recipes that ask: it is made from their results, and from nothing else."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.asking_recipes import HIGHER, LOWER, NEVER, NOTE, POINTER, VARIANTS
from core.recipes import find
from core.specs import merge
from services.cli.headlines import name
from services.cli.results import Result, write_result
from services.cli.train import overrides

BEHIND = dict.fromkeys(HIGHER, 0.1) | dict.fromkeys((*LOWER, NEVER), 0.5)
AHEAD = dict.fromkeys(HIGHER, 0.2) | dict.fromkeys((*LOWER, NEVER), 0.0)


def ran(recipe: str, metrics: dict[str, float], **changes: Any) -> Result:
    """A run of a recipe, made up."""
    report = {
        "parameters": 1234567,
        "examples": {"train": 900, "valid": 80, "test": 70, "decoded": 60},
        "run": {"seconds": 1234.5, "machine": "4 cores"},
    }
    plan = find(recipe).plan.model_dump(mode="json")
    return Result(**{
        "recipe": recipe, "seed": 1, "quick": False, "data": "toy", "plan": plan,
        "curve": [{"step": 777, "epoch": 3, "seconds": 9.0, "loss": 1.0}],
        "metrics": metrics, "report": report, **changes,
    })  # fmt: skip


def lines_of(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list]:
    code = main(["asking-recipes", "--results", str(folder), *words])
    return code, capsys.readouterr().out.splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_result(ran(NOTE, BEHIND), tmp_path)
    write_result(ran(POINTER, AHEAD), tmp_path)
    return tmp_path


def test_a_pointer_that_is_ahead_everywhere_is_told_last(folder, capsys) -> None:
    code, lines = lines_of(folder, capsys)

    assert code == 0
    assert lines[-1] == "qgen-pointer is ahead of qgen-note in every figure (one seed, 1)"
    table = {line[:34].strip(): line[34:].split() for line in lines}
    assert table[""] == [NOTE, POINTER]
    assert table["BLEU-4"] == ["0.10", "0.20"]
    assert table["round trip, F1"] == ["10.00", "%", "20.00", "%"]
    assert table["questions, decoded"] == ["60", "60"]
    assert table["updates"] == ["777", "777"]
    assert "machine: 4 cores" in lines
    assert "qgen-note: qgen-note, as it is today" in lines


@pytest.mark.parametrize("metric", [*HIGHER, *LOWER])
def test_one_figure_that_is_no_better_is_enough_to_fail(metric, folder, capsys) -> None:
    write_result(ran(POINTER, AHEAD | {metric: BEHIND[metric]}), folder)

    code, lines = lines_of(folder, capsys)

    assert code == 1
    assert lines[-1].startswith(f"{name(metric)} is not better: ")


def test_a_word_of_the_source_may_never_be_unknown(folder, capsys) -> None:
    write_result(ran(POINTER, AHEAD | {NEVER: 0.01}), folder)

    code, lines = lines_of(folder, capsys)

    assert (code, lines[-1]) == (1, "unknown in source share must be 0: 1.00 %")


def test_what_was_not_measured_is_no_gain(folder, capsys) -> None:
    metrics = {key: value for key, value in AHEAD.items() if key != "reader_f1"}
    write_result(ran(POINTER, metrics), folder)

    code, lines = lines_of(folder, capsys)

    assert (code, lines[-1]) == (1, "reader f1 was not measured")


def test_runs_over_different_data_are_not_compared(folder, capsys) -> None:
    other = ran(POINTER, AHEAD).report | {"examples": {"train": 901}}
    write_result(ran(POINTER, AHEAD, report=other), folder)

    code, lines = lines_of(folder, capsys)

    assert code == 1
    assert lines[-1].startswith("not the same data: ")


def test_a_trial_another_seed_or_nothing_at_all_give_no_verdict(tmp_path, capsys) -> None:
    write_result(ran(NOTE, BEHIND), tmp_path)
    write_result(ran(POINTER, AHEAD, quick=True), tmp_path)
    code, lines = lines_of(tmp_path, capsys)
    assert code == 1
    assert lines[-1].endswith("has no whole run of qgen-pointer with seed 1")

    code, lines = lines_of(tmp_path, capsys, "--seeds", "2")
    assert (code, lines[-1][-6:]) == (1, "seed 2")

    code, lines = lines_of(tmp_path / "none", capsys)
    assert (code, lines[-1]) == (1, f"no verdict: there is no folder {tmp_path / 'none'}")


def test_a_file_that_is_no_result_is_named(folder, capsys) -> None:
    (folder / "bad.json").write_text("{}", encoding="utf-8")

    code, lines = lines_of(folder, capsys)

    assert code == 1
    assert "bad.json is no result of a recipe" in lines[-1]


def test_variants_stand_beside_with_what_was_changed(folder, capsys) -> None:
    plan = merge(find(POINTER).plan, overrides(list(VARIANTS["gated"])))
    changed = plan.model_dump(mode="json")
    write_result(ran(POINTER, AHEAD | {"bleu_4": 0.3}, plan=changed), folder / "gated")
    write_result(ran(POINTER, AHEAD), folder / "again")
    write_result(ran("chat", {"chrf": 1.0}), folder / "talking")

    code, lines = lines_of(folder, capsys)

    assert code == 0
    table = {line[:34].strip(): line[34:].split() for line in lines}
    assert table[""] == [NOTE, POINTER, "again", "gated"]
    assert table["BLEU-4"] == ["0.10", "0.20", "0.20", "0.30"]
    assert "gated: qgen-pointer, model.questions.self_attention=gated" in lines
    assert "again: qgen-pointer, as it is today" in lines


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_a_plan(variant: str) -> None:
    plan = find(POINTER).plan

    assert merge(plan, overrides(list(VARIANTS[variant]))) != plan
