from pathlib import Path
from typing import Any

import pytest

from core.recipes import RECIPES
from services.cli.drawing import attention, curves
from services.cli.main import run
from services.cli.results import Result, write_result
from tests.services.cli.conftest import Malgil

LIMIT = 60_000  # bytes of a figure
MAPS = [
    {"source": ["▁안녕", "$a$", "하세요"], "output": ["hello", "</s>"],
     "weights": [[0.1, 0.2, 0.7], [1.0, 0.0, 0.0]]},
    {"source": list("3 May 1994"), "output": list("1994-05-03"),
     "weights": [[0.1] * 10] * 10},
]  # fmt: skip


def ran(name: str, seed: int = 1, **changes: Any) -> Result:
    """A run of a recipe, made up."""
    metric = RECIPES[name].headline.metric
    curve: list[dict[str, Any]] = [
        {"step": n, "epoch": n // 100, "seconds": n / 3, "loss": 3 / (n + 1)} for n in range(300)
    ]
    curve += [
        {"step": n, "epoch": n // 100, "seconds": n / 3, "valid_loss": 4 / n, metric: n / 600}
        for n in range(100, 600, 100)
    ]
    report = {
        "parameters": 1234567,
        "attention": MAPS,
        "samples": [{"context": ["a\n`b`"], "target": "c", "output": "d | e", "score": -1.0}],
        "run": {"seconds": 41.6 + seed, "machine": "2 cores"},
    }
    return Result(**{
        "recipe": name, "seed": seed, "quick": False, "data": "toy: 45,000, 5,000 held out",
        "plan": {}, "curve": curve, "metrics": {metric: 0.5 + seed / 10, "valid_loss": 1.0},
        "report": report, **changes,
    })  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results, and the page about them."""
    tmp_path = tmp_path_factory.mktemp("report")
    for seed in (1, 2, 3):
        write_result(ran("addition-reverse", seed), tmp_path / "results")
    for name in ("addition", "date-attention", "translate", "aesop-lstm", "char-lstm"):
        write_result(ran(name), tmp_path / "results")
    write_result(ran("addition-peeky", quick=True), tmp_path / "results")
    asked = {"bleu_4": 10.4, "reader_f1": 0.48, "chrf": 30.0}
    write_result(ran("qgen-pointer", metrics=asked), tmp_path / "results")
    changed = {"train": {"average": "none", "seed": 9}, "model": {"questions": {"separate": True}}}
    write_result(
        ran("qgen-pointer", 2, metrics={**asked, "bleu_4": 11.25}, plan=changed),
        tmp_path / "results" / "apart",
    )
    report(tmp_path)
    return tmp_path


def report(folder: Path) -> None:
    words = ("recipe", "report", "--results", folder / "results", "--out", folder / "docs")
    assert run([str(word) for word in words]) == 0


def page_of(folder: Path) -> str:
    return (folder / "docs" / "RECIPES.md").read_text(encoding="utf-8")


def test_several_seeds_are_told_by_their_median_and_range(folder: Path) -> None:
    (line,) = [
        line for line in page_of(folder).splitlines()
        if line.startswith("| `addition-reverse` |")
    ]  # fmt: skip
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "`addition-reverse`", "toy: 45,000, 5,000 held out", "3",
        "exact match 70.00 % (60.00 % to 80.00 %)",
        "54.00 %: the original code after 25 epochs", "44", "1,234,567", "2 cores",
    ]  # fmt: skip


def test_trials_are_left_out(folder: Path) -> None:
    assert "addition-peeky" not in page_of(folder)


def test_every_figure_that_is_named_is_there_and_small(folder: Path) -> None:
    page = page_of(folder)
    figures = sorted((folder / "docs" / "figures").iterdir())
    named = [figure.name for figure in figures if f"](figures/{figure.name})" in page]
    assert named == [figure.name for figure in figures]
    assert {"addition.svg", "date-attention.attention.svg", "translate.attention.svg"} <= {*named}
    assert all(figure.stat().st_size < LIMIT for figure in figures)


def test_the_same_results_give_the_same_bytes(folder: Path) -> None:
    def written() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (folder / "docs").rglob("*.*")}

    before = written()
    report(folder)
    assert written() == before


def test_what_models_said_stands_in_one_line(folder: Path) -> None:
    assert "- `char-lstm`: `a 'b'` → `d | e`" in page_of(folder)


def test_families_have_their_own_tables(folder: Path) -> None:
    page = page_of(folder)
    assert "| recipe | held-out loss | chrF | BLEU | seconds per epoch |" in page
    assert "| recipe | held-out perplexity per token | per word |" in page


def test_other_settings_have_a_table_that_says_what_was_changed(folder: Path) -> None:
    page = page_of(folder)
    lines = page.splitlines()

    (told,) = [line for line in lines if line.startswith("- apart: ")]
    assert told.startswith("- apart: `qgen-pointer`, `model.questions.separate=true`")
    assert told.endswith(" (seed 2)")
    assert "seed=9" not in told
    (line,) = [line for line in lines if line.startswith("| apart |")]
    assert "11.25" in line
    assert "48.00 %" in line
    assert "](figures/questions.changed.svg)" in page
    drawn = (folder / "docs" / "figures" / "questions.changed.svg").read_text(encoding="utf-8")
    assert "apart" in drawn
    assert "qgen-pointer" in drawn


def test_what_people_asked_stands_beside_what_a_rule_asks(tmp_path: Path) -> None:
    name = "qgen-pointer-ko"
    sample = {"context": ["세종"], "target": "누구인가?", "output": "무엇인가?", "score": -1.0}
    made = ran(name)
    told = {"bleu": 1.25, "chrf": 20.5, "proposer_token_f1": 0.25, "reader_f1": 0.5}
    people = {**made.metrics, "people": told}
    result = ran(name, metrics=people, report={**made.report, "people": [sample]})
    write_result(result, tmp_path / "results")
    write_result(ran("qgen-note"), tmp_path / "results")
    report(tmp_path)
    page = page_of(tmp_path)
    assert "| 1.25 | 20.50 | 25.00 % | 50.00 % | - |" in page
    assert page.count("people's questions: BLEU") == 1  # and not beside recipes on other data
    assert f"- `{name}`, beside a question of people: `세종` → `무엇인가?` (`누구인가?`)" in page


def test_without_results_it_says_what_makes_them(tmp_path: Path, malgil: Malgil) -> None:
    done = malgil("recipe", "report", "--results", tmp_path, "--out", tmp_path)
    assert done.code == 2
    assert "malgil recipe run" in done.err


def test_a_figure_has_no_date_and_labels_of_every_script() -> None:
    drawn = attention(MAPS).decode()
    assert "▁안녕" in drawn
    assert "$a$" in drawn
    assert "dc:date" not in drawn
    assert attention(MAPS).decode() == drawn


def test_many_lines_still_make_a_small_figure() -> None:
    names = [name for name, one in RECIPES.items() if one.family == "addition"]
    assert len(curves({name: [ran(name)] for name in names}, "exact_match")) < LIMIT
