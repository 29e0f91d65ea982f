import json
from pathlib import Path
from typing import Any

import pytest

from core.specs import Plan
from services.cli.failures import Failure
from services.cli.train import overrides
from tests.services.api.rows import add_corpus
from tests.services.cli.conftest import Malgil, Server

TRAIN = ("train", "talk", "--recipe", "demo", "--no-watch")


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ([], {}),
        (["train.max_epochs=5"], {"train": {"max_epochs": 5}}),
        (
            ["model.cell=lstm", "model.dropout=0.1", "task=chat"],
            {"model": {"cell": "lstm", "dropout": 0.1}, "task": "chat"},
        ),
        (["a.b.c=null", "a.b.d=true"], {"a": {"b": {"c": None, "d": True}}}),
        (["a=x=y", "b=", 'c="5"'], {"a": "x=y", "b": "", "c": "5"}),
        (["a=1", "a=2"], {"a": 2}),
    ],
)
def test_settings_become_overrides(settings: list[str], found: dict[str, Any]) -> None:
    assert overrides(settings) == found


@pytest.mark.parametrize("settings", [["train"], ["=5"], ["train.=5"], [".x=5"], ["a=1", "a.b=2"]])
def test_a_setting_that_makes_no_sense_is_named(settings: list[str]) -> None:
    with pytest.raises(Failure, match=repr(settings[-1])):
        overrides(settings)


def test_a_training_is_queued_with_what_was_set(server: Server, malgil: Malgil) -> None:
    add_corpus(server.sessions)
    more = ("--set", "train.max_epochs=5", "--set", "model.cell=lstm", "--priority", "3")
    job = malgil(*TRAIN, *more, "--promote-to", "bot", "--json").data
    plan = job["spec"]["plan"]
    assert (job["status"], job["priority"], job["position"]) == ("queued", 3, 0)
    assert (plan["train"]["max_epochs"], plan["model"]["cell"]) == (5, "lstm")
    assert job["spec"]["promote_to"] == "bot"
    assert server.doorbell.rung == 1


def test_a_whole_plan_stands_in_for_a_recipe(
    server: Server, malgil: Malgil, tmp_path: Path
) -> None:
    add_corpus(server.sessions)
    file = tmp_path / "plan.json"
    file.write_text(Plan(context_turns=3).model_dump_json())
    job = malgil("train", "talk", "--plan", file, "--no-watch", "--json").data
    assert job["spec"]["plan"]["context_turns"] == 3
    file.write_text("{")
    assert "--plan" in malgil("train", "talk", "--plan", file).err


def test_a_value_that_does_not_fit_is_named_by_the_server(server: Server, malgil: Malgil) -> None:
    add_corpus(server.sessions)
    error = malgil(*TRAIN, "--set", "train.max_epochs=none", "--json").data["error"]
    assert error["exit_code"] == 2
    assert "train.max_epochs" in json.dumps(error)


def test_a_key_that_is_not_there_is_named_once_beside_those_that_are(
    server: Server, malgil: Malgil
) -> None:
    add_corpus(server.sessions)
    ran = malgil(*TRAIN, "--set", "train.nonsense=3")
    assert ran.code == 2
    assert ran.err.count("nonsense") == 1
    assert "overrides.train.nonsense: there is no such key; there is seed, " in ran.err


@pytest.mark.parametrize("words", [(), ("--recipe", "demo", "--plan", __file__)])
def test_it_needs_a_recipe_or_a_plan(malgil: Malgil, words: tuple[str, ...]) -> None:
    ran = malgil("train", "talk", *words)
    assert ran.code == 2
    assert "--recipe" in ran.err


def test_an_unknown_corpus_is_refused(server: Server, malgil: Malgil) -> None:
    ran = malgil(*TRAIN)
    assert ran.code == 2
    assert "'talk'" in ran.err
