"""Everything apart, as in production: PostgreSQL, Valkey over TCP with a password, S3."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.cli.following import messages
from services.embedded.census import census
from tests.acceptance.conftest import Tell
from tests.acceptance.processes import wait_until
from tests.acceptance.production import House, Told, house

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

SMALLTALK = Path(__file__).parents[2] / "examples" / "smalltalk.ko.csv"
TRAINING_LIMIT_S = 60.0
GAP_LIMIT_S = 2.5
CANCEL_LIMIT_S = 5.0
SMALL = {
    "tokenizer": {"vocabulary_size": 2000},
    "model": {"embedding_dim": 64, "hidden_dim": 96, "dropout": 0.1},
    "train": {"max_epochs": 30, "validate_every": 50, "snapshot_every_s": 0.5},
}
SAID = "오늘 날씨가 참 좋네요"


@pytest.fixture(scope="module")
def running(postgres_url: str) -> Iterator[House]:
    with house(postgres_url) as running:
        form = {"name": "talk", "kind": "pairs", "source_language": "ko", "target_language": "ko"}
        with SMALLTALK.open("rb") as file:
            running.ask("POST", "/v1/corpora", data=form, files={"file": file})
        yield running


@pytest.fixture(scope="module")
def story(running: House) -> tuple[str, list[Told]]:
    """A training that nothing disturbs, and what its stream told."""
    job = queue(running)
    return job, list(running.follow(job))


@pytest.fixture(scope="module")
def undisturbed(running: House, story: tuple[str, list[Told]]) -> dict[str, Any]:
    """The same training when it has ended; its checkpoint is called "bot"."""
    job = running.job(story[0])
    running.ask("PUT", "/v1/aliases/bot", json={"checkpoint": job["checkpoint_id"]})
    return job


def queue(running: House, **train: Any) -> str:
    overrides = {**SMALL, "train": {**SMALL["train"], **train}}
    body = {"corpus": "talk", "recipe": "demo", "overrides": overrides}
    return str(running.ask("POST", "/v1/jobs", json=body)["id"])


def child_of(job: str) -> int:
    """Return the process id of the child that works on a job."""
    return next(seen.pid for seen in census() if f"workers.child {job}" in seen.command)


def file_of(running: House, checkpoint: str) -> bytes:
    answer = running.client.get(f"/v1/checkpoints/{checkpoint}/file")
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    return answer.content


def reply(running: House, model: str, text: str = SAID) -> dict[str, Any]:
    answer: dict[str, Any] = running.ask("POST", "/v1/replies", json={"model": model, "text": text})
    return answer


def test_a_training_tells_of_itself_all_the_time(
    running: House, story: tuple[str, list[Told]], tell: Tell
) -> None:
    _, heard = story
    gaps = [(late.at - early.at, early, late) for early, late in pairwise(heard)]
    gap, early, late = max(gaps, key=lambda one: one[0])
    states = [told.data["data"]["status"] for told in heard if told.kind == "state"]
    spent = heard[-1].at - heard[0].at
    tell(
        f"a training of {spent:.1f} s (limit {TRAINING_LIMIT_S:g} s) told {len(heard)} events; "
        f"longest silence {gap:.2f} s (limit {GAP_LIMIT_S:g} s), between {words(early)} "
        f"and {words(late)}"
    )
    assert states == ["queued", "running", "succeeded"]
    assert {told.kind for told in heard} == {"state", "log", "metrics", "progress"}
    assert spent < TRAINING_LIMIT_S
    assert gap <= GAP_LIMIT_S


def words(told: Told) -> str:
    """Return an event in a few words."""
    data = told.data.get("data", told.data)
    return f"{told.kind} {json.dumps(data, ensure_ascii=False)[:90]}"


def test_replies_come_whole_streamed_in_lists_and_in_conversations(
    running: House, undisturbed: dict[str, Any], tell: Tell
) -> None:
    whole = reply(running, "bot")
    assert whole["checkpoint"] == undisturbed["checkpoint_id"]
    body = {"model": "bot", "text": SAID, "stream": True}
    with running.client.stream("POST", "/v1/replies", json=body) as response:
        told = [(one.event, json.loads(one.data)) for one in messages(response.iter_lines())]
    *pieces, (last, streamed) = told
    assert last == "reply"
    assert {kind for kind, _ in pieces} == {"piece"}
    assert "".join(data["text"] for _, data in pieces) == streamed["text"] == whole["text"]
    texts = [SAID, "", "안녕하세요", SAID]
    listed = running.ask("POST", "/v1/translations", json={"model": "bot", "texts": texts})
    first, nothing, _, again = [one["text"] for one in listed["translations"]]
    assert (first, nothing, again) == (whole["text"], "", whole["text"])
    talk = running.ask("POST", "/v1/conversations", json={"model": "bot"})["id"]
    for text in (SAID, "고마워요"):
        running.ask("POST", f"/v1/conversations/{talk}/turns", json={"text": text})
    turns = running.ask("GET", f"/v1/conversations/{talk}")["turns"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert turns[1]["text"] == whole["text"]
    unknown = running.client.post("/v1/replies", json={"model": "nobody", "text": SAID})
    assert unknown.status_code == 404
    spent = sorted(asked_ms(running.client) for _ in range(50))
    tell(f"replies over HTTP, one client: p50 {spent[25]:.1f} ms, p99 {spent[49]:.1f} ms")


def asked_ms(client: httpx.Client) -> float:
    began = time.perf_counter()
    assert client.post("/v1/replies", json={"model": "bot", "text": SAID}).is_success
    return (time.perf_counter() - began) * 1e3


def test_a_checkpoint_that_left_the_house_and_came_back_says_the_same(
    running: House, undisturbed: dict[str, Any], tell: Tell
) -> None:
    data = file_of(running, undisturbed["checkpoint_id"])
    files = {"file": ("bundle.safetensors", data)}
    taken = running.ask("POST", "/v1/checkpoints", files=files)
    assert taken["id"] != undisturbed["checkpoint_id"]
    assert taken["job_id"] is None
    before, after = reply(running, undisturbed["checkpoint_id"]), reply(running, taken["id"])
    assert after["checkpoint"] == taken["id"]
    assert (after["text"], after["score"]) == (before["text"], before["score"])
    tell(f"a checkpoint of {len(data) / 1e6:.1f} MB went out, came back and says the same")


def test_a_running_job_is_cancelled_soon(running: House, tell: Tell) -> None:
    job = queue(running, max_epochs=10_000)
    running.wait_for_step(job, 5)
    began = time.monotonic()
    running.ask("POST", f"/v1/jobs/{job}/cancel")
    *_, last = (told for told in running.follow(job) if told.kind == "state")
    spent = time.monotonic() - began
    assert last.data["data"]["status"] == "cancelled"
    assert running.job(job)["checkpoint_id"] is None
    tell(f"cancelled {spent:.2f} s after it was asked for (limit {CANCEL_LIMIT_S:g} s)")
    assert spent < CANCEL_LIMIT_S


def test_a_training_killed_three_times_ends_as_one_that_nobody_killed(
    running: House, undisturbed: dict[str, Any], tell: Tell
) -> None:
    job, began = queue(running), time.monotonic()
    running.wait_for_step(job, 60)
    os.kill(child_of(job), signal.SIGKILL)
    wait_until(lambda: running.job(job)["attempt"] == 2)
    running.wait_for_step(job, 120)
    worker = running.programs["jobs"]
    worker.kill_all()  # with its child: only the lease tells that both are gone
    worker.start()
    running.wait_for_step(job, 180)
    worker.kill()  # its child finds itself an orphan and gives the job back
    worker.start()
    wait_until(lambda: running.job(job)["ended_at"], timeout_s=180)
    ended = running.job(job)
    assert (ended["status"], ended["attempt"]) == ("succeeded", 4), ended
    made = [
        one["id"]
        for one in running.ask("GET", "/v1/checkpoints?limit=200")["data"]
        if one["job_id"] == job
    ]
    assert made == [ended["checkpoint_id"]]
    assert running.curve(job) == running.curve(undisturbed["id"])
    # Whoever is killed between a blob and its row leaves the blob behind: one for each kill.
    wait_until(lambda: 1 <= len(running.blobs()) <= 1 + 3)
    twin, original = (
        hashlib.sha256(file_of(running, one["checkpoint_id"])).hexdigest()
        for one in (ended, undisturbed)
    )
    assert twin == original
    tell(
        f"killed three times, done after {time.monotonic() - began:.0f} s: 1 checkpoint, "
        f"{len(running.blobs())} blobs in the store, the checkpoint "
        f"byte for byte that of the undisturbed run; its curve of {len(running.curve(job))} "
        "points is the same, too"
    )
