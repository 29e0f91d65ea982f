"""With no broker: this process is up all the same, and says what is missing."""

from time import perf_counter

import httpx


def test_health_needs_nothing_and_is_quick(client: httpx.Client) -> None:
    client.get("/health")
    began = perf_counter()
    answers = [client.get("/health") for _ in range(20)]
    assert {answer.text for answer in answers} == {'{"status":"ok"}'}
    assert (perf_counter() - began) / 20 < 0.005


def test_not_ready_says_why(client: httpx.Client) -> None:
    answer = client.get("/ready")
    assert answer.status_code == 503
    body = answer.json()
    assert body["status"] == "not ready"
    assert {name: check["ok"] for name, check in body["checks"].items()} == {
        "database": True,
        "broker": False,
        "inference worker": False,
        "job worker": False,
    }


def test_metrics_are_told_all_the_same(client: httpx.Client) -> None:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "malgil_inbox_waiting NaN" in answer.text
    assert "malgil_lease_expiries_total 0.0" in answer.text
    assert "malgil_ask_retries_total" not in answer.text
