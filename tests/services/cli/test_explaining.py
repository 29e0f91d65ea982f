import json
from pathlib import Path

import pytest

from core.recipes import RECIPES
from tests.services.cli.conftest import Malgil

FABLES = {
    "encoder": "none",
    "cell": "lstm",
    "bidirectional": False,
    "embedding_dim": 100,
    "hidden_dim": 256,
    "window": 20,
    "tied_output": False,
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_network_of_every_recipe_is_explained(malgil: Malgil, name: str) -> None:
    data = malgil("models", "explain", name, "--json").data
    assert data["parameters"] == sum(part["count"] for part in data["parts"])
    assert data["model"] == RECIPES[name].plan.model.model_dump(mode="json")
    assert data["multiply_adds"]["output"] > 0


def test_settings_go_on_top_of_a_recipe(malgil: Malgil) -> None:
    words = ("models", "explain", "demo", "--set", "model.cell=lstm", "--vocabulary", 77)
    shown = malgil(*words)
    assert shown.code == 0
    assert "lstm" in shown.out
    assert "gru" not in shown.out
    assert malgil(*words, "--json").data["vocabulary_size"] == 77


def test_people_see_shapes_flows_and_costs(malgil: Malgil) -> None:
    out = malgil("models", "explain", "demo", "--set", "model.encoder_hidden_dim=20").out
    assert "(B, S, 128) > (B, S, 20)" in out
    assert "60 x 128, 60 x 20, 60, 20" in out
    assert f"{60 * (128 + 20):,} S" in out
    assert "multiply-adds" in out


def test_a_file_may_hold_a_model_or_a_plan(malgil: Malgil, tmp_path: Path) -> None:
    model, plan = tmp_path / "model.json", tmp_path / "plan.json"
    model.write_text(json.dumps(FABLES))
    plan.write_text(json.dumps({"model": {"hidden_dim": 33}, "tokenizer": {"vocabulary_size": 50}}))
    told = malgil("models", "explain", model, "--vocabulary", 4169, "--json").data
    assert told["parameters"] == 1_853_901
    wider = malgil("models", "explain", model, "--set", "model.hidden_dim=300", "--json").data
    assert wider["model"]["hidden_dim"] == 300
    told = malgil("models", "explain", plan, "--json").data
    assert (told["model"]["hidden_dim"], told["vocabulary_size"]) == (33, 50)


@pytest.mark.parametrize(
    ("content", "settings", "reason"),
    [
        ("{", (), "no JSON"),
        ("[]", (), "holds no object"),
        ('{"cell": "cnn"}', (), "cell"),
        ('{"modle": {}}', (), "modle"),
        ('{"cell": "gru"}', ("--set", "train.seed=2"), "begin with model"),
        ('{"attention": "dot"}', (), "take general"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    malgil: Malgil, tmp_path: Path, content: str, settings: tuple[str, ...], reason: str
) -> None:
    file = tmp_path / "spec.json"
    file.write_text(content)
    ran = malgil("models", "explain", file, *settings)
    assert ran.code == 2
    assert reason in ran.err


def test_a_name_or_file_that_is_not_there_is_refused(malgil: Malgil, tmp_path: Path) -> None:
    assert malgil("models", "explain", "nobody").code == 2
    assert malgil("models", "explain", tmp_path / "nothing.json").code == 2
