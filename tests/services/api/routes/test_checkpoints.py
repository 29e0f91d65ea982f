from datetime import timedelta
from uuid import uuid4

import httpx

from tests.services.api.conftest import House
from tests.services.api.files import bundle
from tests.services.api.rows import NOW, add_checkpoint


def upload(client: httpx.Client, data: bytes) -> httpx.Response:
    return client.post("/v1/checkpoints", files={"file": ("any.safetensors", data)})


def test_what_was_downloaded_can_be_uploaded_again(house: House) -> None:
    first = upload(house.client, bundle())
    assert first.status_code == 201, first.text
    assert first.headers["location"] == f"/v1/checkpoints/{first.json()['id']}"
    shown = house.client.get(first.headers["location"]).json()
    assert shown["spec"]["context_turns"] == 2
    assert (shown["step"], shown["metrics"], shown["job_id"]) == (900, {"valid_loss": 1.5}, None)

    file = house.client.get(first.headers["location"] + "/file")
    assert file.content == bundle()
    assert int(file.headers["content-length"]) == len(bundle()) == shown["bytes"]
    named = f'filename="malgil-{shown["id"]}.safetensors"'
    assert file.headers["content-disposition"] == f"attachment; {named}"

    second = upload(house.client, file.content)
    assert second.status_code == 201
    assert second.json()["id"] != shown["id"]


def test_a_damaged_file_is_refused_and_leaves_nothing(house: House) -> None:
    answer = upload(house.client, bundle()[:-1])
    assert answer.status_code == 422
    assert "cut off" in answer.json()["detail"]
    assert house.client.get("/v1/checkpoints").json()["data"] == []


def test_a_field_in_place_of_a_file_is_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/checkpoints", data={"file": "text"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "file"


def test_checkpoints_are_listed_newest_first_and_page_by_page(house: House) -> None:
    ids = [str(add_checkpoint(house.sessions, now=NOW + timedelta(seconds=n)).id) for n in range(3)]
    first = house.client.get("/v1/checkpoints", params={"limit": 2}).json()
    rest = house.client.get("/v1/checkpoints", params={"before": first["next"]}).json()
    assert [one["id"] for one in first["data"] + rest["data"]] == ids[::-1]


def test_a_missing_checkpoint_or_file_is_not_found(house: House) -> None:
    lost = add_checkpoint(house.sessions, blob_key="f" * 64).id
    assert house.client.get(f"/v1/checkpoints/{lost}").status_code == 200
    for path in (f"{lost}/file", f"{uuid4()}/file", f"{uuid4()}"):
        answer = house.client.get(f"/v1/checkpoints/{path}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
