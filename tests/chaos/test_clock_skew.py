"""Hosts whose clocks are minutes apart: leases and deadlines go by those of the servers."""

import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.processes import wait_until
from tests.acceptance.production import house, stand_in
from tests.chaos.asking import ask_many
from tests.chaos.serving import serve
from tests.chaos.training import add_corpus, queue, wait_for_end, words, worker_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

SKEWED = Path(__file__).parent / "skewed"
AHEAD_S = 300
WATCHED_S = 15.0  # more than twice a lease
LIMIT_S = 10.0  # from a kill to the going on, as with clocks that agree
REPLIES = 200
DEADLINE_S = 5.0


def clock(ahead_s: float) -> dict[str, str]:
    """Return the environment of a host whose clock is ahead."""
    return {"CHAOS_AHEAD_S": str(ahead_s), "PYTHONPATH": str(SKEWED)}


def test_a_job_is_neither_stolen_nor_left_lying_by_clocks_that_disagree(
    postgres_url: str, tell: Tell
) -> None:
    hosts = {"api": clock(-AHEAD_S), "beat": clock(AHEAD_S), "jobs": clock(AHEAD_S)}
    with house(postgres_url, each={**hosts, "jobs-2": clock(-AHEAD_S)}) as running:
        running.run_jobs("jobs-2")
        add_corpus(running)
        job = queue(running, max_epochs=5000)
        holders, spent = [], []
        for turn in (1, 2):
            running.wait_for_step(job, running.step(job) + 30)
            time.sleep(WATCHED_S)  # the other worker has nothing to do but to look at this job
            assert running.job(job)["attempt"] == turn, words(running, job)
            worker = worker_of(running, job)
            holders.append(worker.name)
            worker.kill_all()
            killed = time.monotonic()
            sign = f"attempt {turn + 1} goes on from the snapshot at step "
            wait_until(lambda sign=sign: any(sign in one for one in words(running, job)))
            spent.append(time.monotonic() - killed)
            worker.start()
        running.ask("POST", f"/v1/jobs/{job}/cancel")
        wait_for_end(running, job, "cancelled")
    each = " and ".join(f"{one:.1f} s" for one in spent)
    tell(
        f"workers {2 * AHEAD_S} s apart, API {AHEAD_S} s behind: held {WATCHED_S:g} s by "
        f"{' and '.join(holders)} and not stolen; taken over {each} after kills -9 (limit "
        f"{LIMIT_S:g} s)"
    )
    assert set(holders) == {"jobs", "jobs-2"}
    assert max(spent) < LIMIT_S


def test_replies_come_in_time_whatever_the_hosts_say_what_time_it_is(
    postgres_url: str, tell: Tell
) -> None:
    more = stand_in(0.02)
    path = {"PYTHONPATH": f"{SKEWED}:{more['PYTHONPATH']}"}
    workers = {"inference": AHEAD_S, "inference-2": -AHEAD_S}
    each = {name: {**clock(ahead_s), **path} for name, ahead_s in workers.items()}
    with house(postgres_url, more, {**each, "api": {**clock(-2 * AHEAD_S), **path}}) as running:
        serve(running, workers=2)
        tally = ask_many(running.url, REPLIES, clients=8, deadline_s=DEADLINE_S)
        time.sleep(WATCHED_S)  # canaries must be heard meanwhile, or nobody counts as alive
        later = ask_many(running.url, REPLIES, clients=8, deadline_s=DEADLINE_S)
    tell(f"API {2 * AHEAD_S} s behind, workers {AHEAD_S} s ahead and behind: {tally}; {later}")
    assert len(tally.answered) == len(later.answered) == REPLIES
