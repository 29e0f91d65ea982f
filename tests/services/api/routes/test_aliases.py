from uuid import UUID, uuid4

import httpx
import pytest

from tests.services.api.conftest import House
from tests.services.api.rows import add_checkpoint


def point(client: httpx.Client, name: str, checkpoint: object) -> httpx.Response:
    return client.put(f"/v1/aliases/{name}", json={"checkpoint": str(checkpoint)})


def test_an_alias_is_promoted_and_rolled_back_with_history(house: House) -> None:
    old, new = add_checkpoint(house.sessions).id, add_checkpoint(house.sessions).id
    assert point(house.client, "bot", old).status_code == 200
    assert point(house.client, "bot", new).json()["checkpoint_id"] == str(new)
    back = house.client.post("/v1/aliases/bot/rollback")
    assert back.json()["checkpoint_id"] == str(old)
    shown = house.client.get("/v1/aliases/bot").json()
    assert [change["action"] for change in shown["history"]] == ["rollback", "promote", "promote"]


def test_nothing_before_the_first_is_a_conflict(house: House) -> None:
    point(house.client, "bot", add_checkpoint(house.sessions).id)
    assert house.client.post("/v1/aliases/bot/rollback").status_code == 409


def test_aliases_are_listed_and_removed(house: House) -> None:
    checkpoint = add_checkpoint(house.sessions).id
    point(house.client, "b", checkpoint)
    point(house.client, "a", checkpoint)
    listed = house.client.get("/v1/aliases").json()
    assert ([one["name"] for one in listed["data"]], listed["next"]) == (["a", "b"], None)
    assert house.client.delete("/v1/aliases/a").status_code == 204
    assert house.client.get("/v1/aliases/a").status_code == 404


def test_an_alias_points_only_to_what_is_there(client: httpx.Client) -> None:
    assert point(client, "bot", uuid4()).status_code == 404


@pytest.mark.parametrize("name", ["Bot", "a b", "a%00", "a" * 64, str(UUID(int=7)), "-a"])
def test_a_name_that_could_be_mistaken_is_refused(house: House, name: str) -> None:
    answer = point(house.client, name, add_checkpoint(house.sessions).id)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "name"
