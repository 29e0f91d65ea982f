import pytest

from core.recipes import RECIPES
from tests.services.cli.conftest import Malgil


def test_every_recipe_is_listed(malgil: Malgil) -> None:
    shown = malgil("recipe", "list").out
    assert all(recipe.title in shown for recipe in RECIPES.values())
    data = malgil("recipe", "list", "--json").data["data"]
    assert [one["name"] for one in data] == list(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_shown_with_its_plan(malgil: Malgil, name: str) -> None:
    assert "train.max_epochs" in malgil("recipe", "show", name).out
    data = malgil("recipe", "show", name, "--json").data
    assert data["plan"] == RECIPES[name].plan.model_dump(mode="json")


def test_an_unknown_recipe_is_refused(malgil: Malgil) -> None:
    assert malgil("recipe", "show", "nonsense").code == 2
    assert malgil("recipe", "show", "nonsense", "--json").data["error"]["exit_code"] == 2
