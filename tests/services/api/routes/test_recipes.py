import httpx

from core.recipes import RECIPES


def test_recipes_are_listed_with_their_plans(client: httpx.Client) -> None:
    data = client.get("/v1/recipes").json()["data"]
    assert [recipe["name"] for recipe in data] == list(RECIPES)
    assert data[0]["plan"]["model"]["cell"] in {"gru", "lstm"}


def test_one_recipe_is_shown(client: httpx.Client) -> None:
    shown = client.get("/v1/recipes/chat").json()
    assert shown["name"] == "chat"
    assert shown["corpus_kinds"] == ["pairs", "dialogues"]


def test_an_unknown_recipe_is_not_found(client: httpx.Client) -> None:
    assert client.get("/v1/recipes/nothing").status_code == 404
