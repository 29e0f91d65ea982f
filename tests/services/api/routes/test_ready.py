"""With a broker: who is alive, and what the figures are."""

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
import redis

from core.errors import InboxFullError
from core.queue.messages import INBOX, INFERENCE_QUEUE, JOBS_QUEUE, RETRIES, alive_key
from tests.services.api.conftest import House
from tests.services.api.rows import add_job, claim


@pytest.fixture
def broker(valkey_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    return valkey_url


def test_ready_when_everything_is_there(client: httpx.Client, broker: redis.Redis) -> None:
    for queue in (INFERENCE_QUEUE, JOBS_QUEUE):
        broker.set(alive_key(queue), "1")
    answer = client.get("/ready")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert all(check["ok"] for check in answer.json()["checks"].values())


def test_a_job_worker_that_is_busy_counts_as_alive(house: House, broker: redis.Redis) -> None:
    broker.set(alive_key(INFERENCE_QUEUE), "1")
    add_job(house.sessions)
    assert house.client.get("/ready").status_code == 503
    claim(house.sessions, now=datetime.now(UTC), lease_s=30)
    answer = house.client.get("/ready")
    assert answer.status_code == 200
    assert answer.json()["checks"]["job worker"] == {"ok": True, "detail": "works on 1 jobs"}


def test_a_lease_that_ran_out_proves_nothing(house: House, broker: redis.Redis) -> None:
    broker.set(alive_key(INFERENCE_QUEUE), "1")
    add_job(house.sessions)
    claim(house.sessions)
    assert not house.client.get("/ready").json()["checks"]["job worker"]["ok"]


def test_metrics_tell_of_requests_jobs_asks_and_replies(house: House, broker: redis.Redis) -> None:
    job = add_job(house.sessions).id
    broker.xadd(INBOX, {"ask": "{}"})
    broker.hincrby(RETRIES, "worker_died", 3)
    house.client.post("/v1/replies", json={"model": "bot", "text": "hi"})
    house.client.post("/v1/replies", json={"model": "bot", "text": "hey", "stream": True})
    house.inbox.failures[""] = InboxFullError("full")
    house.client.post("/v1/replies", json={"model": "bot", "text": "hi"})
    house.client.get(f"/v1/jobs/{job}")
    house.client.get("/v1/nothing/at/all")
    told = house.client.get("/metrics").text
    for line in (
        'malgil_http_requests_total{method="POST",route="/v1/replies",status="200"} 2.0',
        'malgil_http_requests_total{method="POST",route="/v1/replies",status="429"} 1.0',
        'malgil_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="200"} 1.0',
        'malgil_http_requests_total{method="GET",route="unmatched",status="404"} 1.0',
        'malgil_replies_total{outcome="answered"} 2.0',
        'malgil_replies_total{outcome="full"} 1.0',
        "malgil_reply_seconds_count 2.0",
        'malgil_queue_seconds_bucket{le="0.002"} 2.0',
        'malgil_inference_seconds_bucket{le="0.005"} 2.0',
        'malgil_batch_size_bucket{le="1.0"} 2.0',
        "malgil_generated_tokens_total 5.0",
        "malgil_time_to_first_text_seconds_count 1.0",
        'malgil_jobs{status="queued"} 1.0',
        'malgil_jobs{status="running"} 0.0',
        "malgil_inbox_waiting 1.0",
        "malgil_lease_expiries_total 0.0",
        "malgil_job_retries_total 0.0",
        'malgil_ask_retries_total{reason="worker_died"} 3.0',
        'malgil_ask_retries_total{reason="queue_lost"} 0.0',
    ):
        assert line in told
