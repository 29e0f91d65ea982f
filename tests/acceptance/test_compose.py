"""docker-compose.yml on a real engine: the whole way, killed containers, down and up again."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.containers import Containers, containers
from tests.acceptance.processes import ROOT, wait_until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

SMALLTALK = ROOT / "examples" / "smalltalk.ko.csv"
SMALL = {
    "tokenizer": {"vocabulary_size": 2000},
    "model": {"embedding_dim": 64, "hidden_dim": 96, "dropout": 0.1},
    "train": {
        "max_epochs": 30,
        "time_limit_s": None,
        "validate_every": 50,
        "snapshot_every_s": 0.5,
    },
}
SAID = "오늘 날씨가 참 좋네요"
RECOVERY_LIMIT_S = 60.0
ASKS = 200
BACK_UP = """
docker-compose stop jobs
docker-compose exec -T db pg_dump -U malgil -Fc malgil > $KEPT/malgil.dump
docker-compose exec -T api tar -C /blobs -c . > $KEPT/blobs.tar
docker-compose start jobs
"""
RESTORE = """
docker-compose exec -T db pg_restore -U malgil -d malgil --clean --if-exists -1 < $KEPT/malgil.dump
docker-compose run --rm --no-deps -T api tar -C /blobs -x < $KEPT/blobs.tar
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Containers]:
    with containers() as running:
        form = {"name": "talk", "kind": "pairs", "source_language": "ko", "target_language": "ko"}
        with SMALLTALK.open("rb") as file:
            running.house.ask("POST", "/v1/corpora", data=form, files={"file": file})
        yield running


@pytest.fixture(scope="module")
def trained(running: Containers) -> dict[str, Any]:
    """A training that nothing disturbs; what it made is called "bot"."""
    job = queue(running, promote_to="bot")
    *_, last = (told for told in running.house.follow(job) if told.kind == "state")
    assert last.data["data"]["status"] == "succeeded", last
    return running.house.job(job)


def queue(running: Containers, **more: Any) -> str:
    body = {"corpus": "talk", "recipe": "demo", "overrides": SMALL, **more}
    return str(running.house.ask("POST", "/v1/jobs", json=body)["id"])


def reply(running: Containers, timeout_s: float = 30.0) -> str:
    body = {"model": "bot", "text": SAID, "timeout_s": timeout_s}
    return str(running.house.ask("POST", "/v1/replies", json=body)["text"])


def replies_again(running: Containers) -> bool:
    body = {"model": "bot", "text": SAID, "timeout_s": 2}
    try:
        return running.house.client.post("/v1/replies", json=body).is_success
    except httpx.TransportError:
        return False


def seconds_until(look: Callable[[], object]) -> float:
    began = time.monotonic()
    wait_until(look, timeout_s=RECOVERY_LIMIT_S)
    return time.monotonic() - began


def test_the_whole_way_through_containers(
    running: Containers, trained: dict[str, Any], tell: Tell
) -> None:
    said = reply(running)
    talk = running.house.ask("POST", "/v1/conversations", json={"model": "bot"})["id"]
    turn = running.house.ask("POST", f"/v1/conversations/{talk}/turns", json={"text": SAID})
    assert said
    wait_until(running.well, timeout_s=120)
    assert [one["role"] for one in turns(running, talk)] == ["user", "assistant"]
    (api,) = running.of("api")
    checks = json.loads(running.docker("exec", api, "malgil", "doctor", "--json"))["checks"]
    points = running.house.curve(trained["id"])
    tell(
        f"uploaded, trained to step {points[-1][0]}, promoted, asked: {said!r}; a conversation "
        f"answers {turn['reply']['text']!r}; every container is healthy, and of "
        f"{len(checks)} things that the doctor looks at nothing is wrong"
    )


def turns(running: Containers, talk: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = running.house.ask("GET", f"/v1/conversations/{talk}")["turns"]
    return found


def test_the_containers_may_do_no_more_than_they_need(running: Containers, tell: Tell) -> None:
    for service in ("api", "inference", "jobs", "beat"):
        (container,) = running.of(service)
        who = running.docker("exec", container, "id", "-u").strip()
        touched = "touch /app/mark 2>&1 || touch /mark 2>&1 || echo refused"
        assert running.docker("exec", container, "sh", "-c", touched).endswith("refused\n")
        assert who == "10001"
    image = running.look(running.of("api")[0])["Image"]
    told = running.docker("history", "--no-trunc", image) + running.docker("inspect", image)
    for secret in ("POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        assert running.environment[secret] not in told
    tell("user 10001, a root file system that nobody writes to, no password in the image")


def test_a_job_worker_that_is_killed_comes_back_and_its_training_ends_the_same(
    running: Containers, trained: dict[str, Any], tell: Tell
) -> None:
    job = queue(running)
    running.house.wait_for_step(job, 60, timeout_s=180)
    (container,) = running.of("jobs")
    running.kill(container)
    again = seconds_until(lambda: running.house.job(job)["attempt"] == 2)
    wait_until(lambda: running.house.job(job)["ended_at"], timeout_s=240)
    ended = running.house.job(job)
    assert (ended["status"], ended["attempt"]) == ("succeeded", 2), ended
    assert running.house.curve(job) == running.house.curve(trained["id"])
    assert running.look(container)["RestartCount"] == 1
    tell(f"job worker killed with -9: attempt 2 after {again:.1f} s, the same curve to its end")


@pytest.mark.parametrize("service", ["inference", "api", "redis", "db"])
def test_a_container_that_is_killed_comes_back(
    running: Containers, trained: dict[str, Any], service: str, tell: Tell
) -> None:
    before = reply(running)
    (container,) = running.of(service)
    running.kill(container)
    again = seconds_until(lambda: replies_again(running) and running.house.ready())
    assert running.look(container)["RestartCount"] == 1
    assert reply(running) == before
    tell(f"{service} killed with -9: replies again and ready after {again:.1f} s")


def test_three_inference_workers_share_the_asks_and_survive_each_other(
    running: Containers, trained: dict[str, Any], tell: Tell
) -> None:
    expected = reply(running)
    running.up("--scale", "inference=3")
    assert len(running.of("inference")) == 3
    wait_until(running.well, timeout_s=180)
    began = time.monotonic()
    with ThreadPoolExecutor(16) as clients:
        asked = [clients.submit(reply, running) for _ in range(ASKS)]
        running.kill(running.of("inference")[0])
        texts = [one.result() for one in asked]
    spent = time.monotonic() - began
    assert texts == [expected] * ASKS
    tell(f"three inference workers, one of them killed: {ASKS} of {ASKS} answered, {spent:.1f} s")


def test_down_and_up_again_loses_nothing(
    running: Containers, trained: dict[str, Any], tell: Tell
) -> None:
    job = queue(running)
    running.house.wait_for_step(job, 60, timeout_s=180)
    before, said = everything(running), reply(running)
    running.run("down")
    assert not running.run("ps", "-q").split()
    running.up()
    assert everything(running) == before
    assert reply(running) == said
    wait_until(lambda: running.house.job(job)["ended_at"], timeout_s=240)
    ended = running.house.job(job)
    assert ended["status"] == "succeeded", ended
    assert running.house.curve(job) == running.house.curve(trained["id"])
    counts = ", ".join(f"{len(rows)} {name}" for name, rows in before.items())
    tell(
        f"down and up: {counts} as before, the same reply; the training that was cut short "
        f"ended in attempt {ended['attempt']} with the same curve"
    )


def test_what_was_kept_comes_back_after_every_volume_is_gone(
    running: Containers, trained: dict[str, Any], tmp_path: Path, tell: Tell
) -> None:
    said = reply(running)
    job = queue(running)
    running.house.wait_for_step(job, 60, timeout_s=180)
    running.shell(BACK_UP, tmp_path)
    before = everything(running)
    kept = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    running.run("down", "--volumes")
    running.run("up", "-d", "db")
    wait_until(running.well, timeout_s=120)
    running.shell(RESTORE, tmp_path)
    running.up()
    assert everything(running) == before
    assert reply(running) == said
    wait_until(lambda: running.house.job(job)["ended_at"], timeout_s=240)
    assert running.house.job(job)["status"] == "succeeded"
    assert running.house.curve(job) == running.house.curve(trained["id"])
    sizes = ", ".join(f"{name} {count / 1e6:.1f} MB" for name, count in kept.items())
    tell(f"kept {sizes}; all volumes deleted, restored: the same rows, reply and training")


def everything(running: Containers) -> dict[str, list[Any]]:
    """Return the ids of all that is kept, by what it is."""
    names = ("corpora", "jobs", "checkpoints", "conversations")
    found = {
        name: [one["id"] for one in running.house.ask("GET", f"/v1/{name}?limit=200")["data"]]
        for name in names
    }
    aliases = running.house.ask("GET", "/v1/aliases?limit=200")["data"]
    return {**found, "aliases": [(one["name"], one["checkpoint_id"]) for one in aliases]}
