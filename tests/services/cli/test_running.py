"""``malgil recipe run`` in a process of its own, as a person starts it: no server anywhere."""

import json
import subprocess
import sys

import pytest

from core.pipelines.bundle import read_bundle
from core.recipes import RECIPES

TINY = ["--set", "train.max_epochs=1", "--set", "tokenizer.vocabulary_size=1500"]


def malgil(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_runs_in_seconds_when_asked_to(name, tmp_path) -> None:
    out = tmp_path / "made.safetensors"
    done = malgil("recipe", "run", name, "--quick", *TINY, "--out", str(out), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    *events, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"log", "progress", "metrics"} <= {event["event"] for event in events}
    assert last["metrics"]["valid_perplexity"] > 1
    assert read_bundle(out.read_bytes()).report["metrics"] == last["metrics"]


def test_talks_of_ones_own_can_be_learned_from(tmp_path) -> None:
    talks = tmp_path / "talks.jsonl"
    turns = [[f"안녕 {i}", "반가워요", f"이름이 {i}번이야?", "네, 맞아요"] for i in range(40)]
    talks.write_text("\n".join(json.dumps({"turns": one}) for one in turns), encoding="utf-8")
    done = malgil(
        "recipe", "run", "chat", "--quick", "--corpus", str(talks), "--kind", "dialogues",
        "--set", "train.max_epochs=1", "--set", "tokenizer.kind=char",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wanted: " in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipe", "run", "nobody"], "nobody"),
        (["recipe", "run", "demo", "--set", "train.colour=1"], "train.colour"),
        (["recipe", "run", "translate", "--kind", "dialogues"], "pairs"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(words, said) -> None:
    done = malgil(*words)
    assert done.returncode == 2
    assert said in done.stderr
