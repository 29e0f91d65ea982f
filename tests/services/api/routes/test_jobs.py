import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from core.specs import Plan
from core.storage import jobs
from core.storage.tables import CorpusKind, EventKind
from tests.services.api.conftest import House
from tests.services.api.rows import NOW, add_checkpoint, add_corpus, add_job, claim


def test_a_training_by_recipe_is_queued_and_then_rung_for(house: House) -> None:
    add_corpus(house.sessions)
    body = {
        "kind": "train",
        "corpus": "talk",
        "recipe": "chat",
        "overrides": {"train": {"seed": 7}},
        "promote_to": "bot",
        "priority": 3,
    }
    answer = house.client.post("/v1/jobs", json=body)
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["status"], job["position"], job["priority"]) == ("queued", 0, 3)
    assert (job["spec"]["recipe"], job["spec"]["promote_to"]) == ("chat", "bot")
    assert job["spec"]["plan"]["train"]["seed"] == 7
    assert house.doorbell.rung == 1


def test_the_job_is_committed_before_the_bell_rings(house: House) -> None:
    add_corpus(house.sessions)
    seen: list[int] = []
    house.doorbell.heard = lambda: seen.append(waiting(house))
    house.client.post("/v1/jobs", json={"corpus": "talk", "recipe": "demo"})
    assert seen == [1]


def waiting(house: House) -> int:
    with house.sessions() as session:
        return jobs.waiting(session, now=NOW)


def test_a_whole_plan_can_stand_in_place_of_a_recipe(house: House) -> None:
    add_corpus(house.sessions)
    plan = Plan(context_turns=2).model_dump(mode="json")
    answer = house.client.post("/v1/jobs", json={"corpus": "talk@1", "plan": plan})
    assert answer.status_code == 201
    assert answer.json()["spec"]["plan"] == plan


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"corpus": "talk"}, "body"),
        ({"corpus": "talk", "recipe": "chat", "plan": {}}, "body"),
        ({"corpus": "talk", "plan": {"model": {"cell": "abacus"}}}, "plan.model.cell"),
        ({"corpus": "talk", "plan": {"extra": 1}}, "plan.extra"),
        ({"corpus": "talk", "recipe": "chat", "overrides": {"train": 1}}, "overrides.train"),
        (
            {"corpus": "talk", "recipe": "chat", "overrides": {"train": {"sead": 1}}},
            "overrides.train.sead",
        ),
        ({"corpus": "talk", "recipe": "chat", "priority": 10**12}, "priority"),
        ({"corpus": "talk", "recipe": "chat", "promote_to": "A"}, "promote_to"),
        ({"corpus": "talk", "recipe": "chat", "promote_to": str(uuid4())}, "promote_to"),
        ({"corpus": "ta\x00lk", "recipe": "chat"}, "corpus"),
        ({"corpus": "talk", "recipe": "chat", "kind": "evaluate"}, "kind"),
    ],
)
def test_a_wrong_job_is_refused_by_field_and_never_queued(
    house: House, body: dict, field: str
) -> None:
    add_corpus(house.sessions)
    answer = house.client.post("/v1/jobs", json=body)
    assert answer.status_code == 422, answer.text
    assert field in [fault["field"] for fault in answer.json()["errors"]]
    assert house.client.get("/v1/jobs").json()["data"] == []
    assert house.doorbell.rung == 0


def test_a_corpus_must_fit_and_have_examples(house: House) -> None:
    add_corpus(house.sessions, name="chats", kind=CorpusKind.DIALOGUES)
    add_corpus(house.sessions, name="untrained", train=0)
    add_corpus(house.sessions, name="unheld", valid=0)
    add_corpus(house.sessions, name="book", kind=CorpusKind.TEXT)
    plan = {"task": "translate"}
    language = {
        "task": "language",
        "model": {"encoder": "none", "bidirectional": False},
        "decode": {"beam_size": 1},
    }
    translating = {
        "task": "translate",
        "tokenizer": {"kind": "char"},
        "model": {"encoder": "recurrent", "window": None},
    }
    for body in (
        {"corpus": "chats", "recipe": "translate"},
        {"corpus": "chats", "plan": plan},
        {"corpus": "chats", "plan": language},
        {"corpus": "book", "recipe": "chat"},
        {"corpus": "book", "plan": {}},
        {"corpus": "chats", "recipe": "demo", "overrides": language},
        {"corpus": "book", "recipe": "aesop-lstm", "overrides": translating},
        {"corpus": "untrained", "recipe": "chat"},
        {"corpus": "unheld", "recipe": "chat"},
    ):
        answer = house.client.post("/v1/jobs", json=body)
        assert answer.status_code == 422, body
        assert answer.json()["errors"][0]["field"] == "corpus"
    fits = house.client.post("/v1/jobs", json={"corpus": "book", "plan": language})
    assert fits.status_code == 201, fits.text


@pytest.mark.parametrize(
    "body", [{"corpus": "nothing", "recipe": "chat"}, {"corpus": "talk", "recipe": "nothing"}]
)
def test_an_unknown_corpus_or_recipe_is_not_found(house: House, body: dict) -> None:
    add_corpus(house.sessions)
    assert house.client.post("/v1/jobs", json=body).status_code == 404


def test_jobs_are_listed_newest_first_by_page_and_status(house: House) -> None:
    corpus = add_corpus(house.sessions).id
    ids = [
        str(add_job(house.sessions, corpus, now=NOW + timedelta(seconds=n)).id) for n in range(3)
    ]
    claim(house.sessions)
    first = house.client.get("/v1/jobs", params={"limit": 2}).json()
    rest = house.client.get("/v1/jobs", params={"limit": 2, "before": first["next"]}).json()
    assert [job["id"] for job in first["data"] + rest["data"]] == ids[::-1]
    assert rest["next"] is None
    running = house.client.get("/v1/jobs", params={"status": "running"}).json()["data"]
    assert [job["id"] for job in running] == ids[:1]


@pytest.mark.parametrize(
    "params",
    [{"limit": 0}, {"limit": 201}, {"limit": 10**40}, {"before": "x"}, {"status": "asleep"}],
)
def test_wrong_lists_are_refused(client: httpx.Client, params: dict) -> None:
    answer = client.get("/v1/jobs", params=params)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == next(iter(params))


def test_a_job_tells_its_place_and_what_it_left(house: House) -> None:
    corpus = add_corpus(house.sessions).id
    first = add_job(house.sessions, corpus)
    second = add_job(house.sessions, corpus, now=NOW + timedelta(seconds=1))
    assert house.client.get(f"/v1/jobs/{second.id}").json()["position"] == 1
    checkpoint = add_checkpoint(house.sessions, job_id=first.id)
    assert house.client.get(f"/v1/jobs/{first.id}").json()["checkpoint_id"] == str(checkpoint.id)


def test_a_waiting_job_is_cancelled_once(house: House) -> None:
    job = add_job(house.sessions).id
    assert house.client.post(f"/v1/jobs/{job}/cancel").json()["status"] == "cancelled"
    assert house.client.post(f"/v1/jobs/{job}/cancel").status_code == 409


def test_a_running_job_is_asked_to_stop(house: House) -> None:
    job = add_job(house.sessions).id
    claim(house.sessions)
    answer = house.client.post(f"/v1/jobs/{job}/cancel").json()
    assert (answer["status"], answer["cancel_requested"]) == ("running", True)


def test_a_waiting_job_rests_until_it_is_resumed_and_the_bell_rings(house: House) -> None:
    job = add_job(house.sessions).id
    for _ in range(2):
        paused = house.client.post(f"/v1/jobs/{job}/pause").json()
        assert (paused["status"], paused["position"]) == ("paused", None)
    listed = house.client.get("/v1/jobs", params={"status": "paused"}).json()["data"]
    assert [one["id"] for one in listed] == [str(job)]
    assert house.doorbell.rung == 0
    resumed = house.client.post(f"/v1/jobs/{job}/resume").json()
    assert (resumed["status"], resumed["position"]) == ("queued", 0)
    assert house.doorbell.rung == 1


def test_a_running_job_is_asked_to_rest_and_the_wish_can_be_taken_back(house: House) -> None:
    job = add_job(house.sessions).id
    claim(house.sessions)
    answer = house.client.post(f"/v1/jobs/{job}/pause").json()
    assert (answer["status"], answer["pause_requested"]) == ("running", True)
    answer = house.client.post(f"/v1/jobs/{job}/resume").json()
    assert (answer["status"], answer["pause_requested"]) == ("running", False)


@pytest.mark.parametrize("path", ["pause", "resume", "cancel"])
def test_what_has_ended_says_so_with_its_state(house: House, path: str) -> None:
    job = ended_job(house)
    answer = house.client.post(f"/v1/jobs/{job}/{path}")
    assert answer.status_code == 409
    assert "succeeded" in answer.json()["detail"]


def test_a_paused_job_is_cancelled_at_once(house: House) -> None:
    job = add_job(house.sessions).id
    house.client.post(f"/v1/jobs/{job}/pause")
    assert house.client.post(f"/v1/jobs/{job}/cancel").json()["status"] == "cancelled"


def test_jobs_tell_when_they_are_likely_to_start_and_end(house: House) -> None:
    corpus = add_corpus(house.sessions).id
    running, waiting = add_job(house.sessions, corpus), add_job(house.sessions, corpus)
    assert house.client.get(f"/v1/jobs/{waiting.id}").json()["expected_start_at"] is None
    claimed = claim(house.sessions)
    assert claimed.id in {running.id, waiting.id}
    waiting = waiting if claimed.id == running.id else running
    progress = {"step": 10, "total_steps": 40, "elapsed_s": 20.0}
    with house.sessions.begin() as session:
        jobs.hold(session, claimed.id, attempt=1, lease_s=5, now=NOW, progress=progress)
    before = datetime.now(UTC)
    shown = {one["id"]: one for one in house.client.get("/v1/jobs").json()["data"]}
    end = datetime.fromisoformat(shown[str(claimed.id)]["expected_end_at"])
    assert timedelta(seconds=59) < end - before < timedelta(seconds=70)
    assert shown[str(waiting.id)]["expected_start_at"] == end.isoformat().replace("+00:00", "Z")
    assert shown[str(waiting.id)]["expected_end_at"] is None


@pytest.mark.parametrize("path", ["", "/events", "/stream", "/cancel", "/pause", "/resume"])
def test_an_unknown_job_is_not_found(client: httpx.Client, path: str) -> None:
    method = "POST" if path in {"/cancel", "/pause", "/resume"} else "GET"
    assert client.request(method, f"/v1/jobs/{uuid4()}{path}").status_code == 404
    assert client.request(method, f"/v1/jobs/17{path}").status_code == 422


def ended_job(house: House) -> UUID:
    """Let a job run through, with one word and two figures."""
    job = add_job(house.sessions)
    claim(house.sessions)
    with house.sessions.begin() as session:
        for step in (10, 20):
            jobs.add_event(
                session,
                job.id,
                attempt=1,
                kind=EventKind.METRICS,
                data={"train_loss": 1.0 / step},
                now=NOW,
                step=step,
            )
        jobs.hold(session, job.id, attempt=1, lease_s=5, now=NOW, progress={"stage": "train"})
        jobs.succeed(session, job.id, attempt=1, now=NOW)
    return job.id


def test_events_are_read_page_by_page(house: House) -> None:
    job = ended_job(house)
    first = house.client.get(f"/v1/jobs/{job}/events", params={"limit": 3}).json()
    rest = house.client.get(f"/v1/jobs/{job}/events", params={"after": first["next"]}).json()
    end = house.client.get(f"/v1/jobs/{job}/events", params={"after": rest["next"]}).json()
    told = [(event["kind"], event["step"]) for event in first["data"] + rest["data"]]
    assert told == [
        ("state", None),
        ("state", None),
        ("metrics", 10),
        ("metrics", 20),
        ("state", None),
    ]
    assert end == {"data": [], "next": rest["next"]}


def streamed(answer: httpx.Response) -> list[dict[str, str]]:
    blocks = answer.text.strip().split("\n\n")
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


def test_a_stream_tells_everything_and_ends_with_the_job(house: House) -> None:
    job = ended_job(house)
    answer = house.client.get(f"/v1/jobs/{job}/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = streamed(answer)
    names = [event["event"] for event in told]
    assert names == ["state", "state", "metrics", "metrics", "progress", "state"]
    ids = [int(event["id"]) for event in told if "id" in event]
    assert ids == sorted(ids)
    assert json.loads(told[-2]["data"]) == {"stage": "train"}
    assert json.loads(told[-1]["data"])["data"]["status"] == "succeeded"


def test_a_stream_goes_on_after_the_last_event_that_was_heard(house: House) -> None:
    job = ended_job(house)
    whole = streamed(house.client.get(f"/v1/jobs/{job}/stream"))
    headers = {"last-event-id": whole[3]["id"]}
    rest = streamed(house.client.get(f"/v1/jobs/{job}/stream", headers=headers))
    assert rest == whole[4:]
    params = {"after": whole[3]["id"]}
    assert streamed(house.client.get(f"/v1/jobs/{job}/stream", params=params)) == rest


def test_a_stream_ends_when_the_process_is_stopping(house: House) -> None:
    job = add_job(house.sessions).id
    house.app.state.stopping = lambda: True
    assert house.client.get(f"/v1/jobs/{job}/stream").text == ""
