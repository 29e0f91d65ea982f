"""A worker that stands still for longer than its lease, and then goes on as if nothing were."""

import signal
import time

import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.processes import wait_until
from tests.acceptance.production import house
from tests.chaos.training import (
    add_corpus,
    child_of,
    made_by,
    queue,
    send_all,
    states,
    wait_for_end,
    worker_of,
)

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

REFUSED = "no longer holds"


def test_a_worker_that_wakes_up_after_its_lease_writes_nothing(
    postgres_url: str, tell: Tell
) -> None:
    with house(postgres_url) as running:
        running.run_jobs("jobs-2")
        add_corpus(running)
        undisturbed = queue(running, max_epochs=300)
        wait_for_end(running, undisturbed)
        job = queue(running, max_epochs=300)
        running.wait_for_step(job, 60)
        zombie, child = worker_of(running, job), child_of(job)
        send_all(zombie, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            wait_until(lambda: running.job(job)["attempt"] == 2)
            taken_s = time.monotonic() - stopped
            other = worker_of(running, job)
            running.wait_for_step(job, running.step(job) + 1)
        finally:
            send_all(zombie, signal.SIGCONT)
        wait_until(lambda: REFUSED in zombie.said(), timeout_s=30)
        assert child_of(job) != child
        ended = wait_for_end(running, job)
        told, curve, wanted = states(running, job), running.curve(job), running.curve(undisturbed)
        made = made_by(running, job)
        refusal = next(line for line in zombie.said().splitlines() if REFUSED in line)
    tell(
        f"{zombie.name} stood still, {other.name} had the job after {taken_s:.1f} s; then "
        f"{zombie.name} woke up and was refused: {refusal.strip()}\n"
        f"states {told}, {len(made)} checkpoint, curve of {len(curve)} points "
        f"{'equal to' if curve == wanted else 'OTHER THAN'} that of an undisturbed run"
    )
    assert other is not zombie
    assert ended["attempt"] == 2
    assert told == ["queued", "running", "running", "succeeded"]
    assert made == [ended["checkpoint_id"]]
    assert curve == wanted
