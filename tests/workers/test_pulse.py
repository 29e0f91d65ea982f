import pytest
from redis import Redis

from core.queue.messages import (
    INFERENCE_QUEUE,
    JOBS_QUEUE,
    SWEEP_QUEUE,
    alive_key,
    heard_key,
)
from workers import canary, jobs, pulse

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@ONE_DATABASE
def test_a_host_has_a_pulse_for_the_queues_that_it_hears(
    worker: None, capsys: pytest.CaptureFixture[str]
) -> None:
    canary.heard(JOBS_QUEUE)
    assert pulse.main(JOBS_QUEUE) == 0
    assert pulse.main(INFERENCE_QUEUE) == 1
    assert capsys.readouterr().out == (
        "malgil.jobs is consumed.\nmalgil.inference has not been heard of lately.\n"
    )


@ONE_DATABASE
def test_a_canary_that_another_host_heard_is_no_pulse_here(worker: None, valkey: Redis) -> None:
    valkey.set(alive_key(JOBS_QUEUE), "elsewhere-1")
    valkey.set(heard_key(JOBS_QUEUE, "elsewhere"), "elsewhere-1")
    assert pulse.main(JOBS_QUEUE) == 1


@ONE_DATABASE
def test_a_sweep_that_was_heard_is_the_pulse_of_beat(worker: None) -> None:
    assert pulse.main(SWEEP_QUEUE) == 1
    jobs.sweep()
    assert pulse.main(SWEEP_QUEUE) == 0


def test_without_a_broker_there_is_no_pulse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MALGIL_REDIS_URL", "unix:///nowhere.sock")
    assert pulse.main(JOBS_QUEUE) == 1
    assert capsys.readouterr().out.startswith("The broker does not answer: ")
