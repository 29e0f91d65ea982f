"""How soon work goes on after a kill -9, with default settings."""

import time

import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.processes import wait_until
from tests.acceptance.production import house, stand_in
from tests.chaos.asking import asking
from tests.chaos.serving import answers, finals, left_in_the_inbox, serve, valkey_of
from tests.chaos.training import add_corpus, queue, wait_for_end, words, worker_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

TRAINING_LIMIT_S = 10.0
REPLIES_LIMIT_S = 5.0
KILLS = 3
CLIENTS = 16
DEADLINE_S = 15.0


def test_a_killed_training_goes_on_from_its_snapshot_soon(postgres_url: str, tell: Tell) -> None:
    spent = []
    with house(postgres_url) as running:
        running.run_jobs("jobs-2")
        add_corpus(running)
        job = queue(running, max_epochs=5000)
        for kill in range(1, KILLS + 1):
            running.wait_for_step(job, 60 * kill)
            worker = worker_of(running, job)
            worker.kill_all()  # with its child: only the lease tells that both are gone
            killed = time.monotonic()
            sign = f"attempt {kill + 1} goes on from the snapshot at step "
            wait_until(lambda sign=sign: any(sign in one for one in words(running, job)))
            spent.append(time.monotonic() - killed)
            worker.start()
        running.ask("POST", f"/v1/jobs/{job}/cancel")
        wait_for_end(running, job, "cancelled")
    each = ", ".join(f"{one:.1f}" for one in spent)
    tell(f"a training went on {each} s after kills -9 (limit {TRAINING_LIMIT_S:g} s)")
    assert max(spent) < TRAINING_LIMIT_S


def test_replies_come_again_soon_after_the_queue_server_was_killed(
    postgres_url: str, tell: Tell
) -> None:
    spent = []
    with house(postgres_url, stand_in(0.1)) as running:
        serve(running, workers=2)
        with asking(running.url, clients=CLIENTS, deadline_s=DEADLINE_S) as tallies:
            for _ in range(KILLS):
                time.sleep(5)
                server = running.programs["valkey"]
                server.kill()
                killed = time.monotonic()
                server.start()
                wait_until(lambda: answers(running), timeout_s=30)
                spent.append(time.monotonic() - killed)
            time.sleep(5)
        with valkey_of(running) as valkey:
            wait_until(lambda: left_in_the_inbox(valkey) == (0, 0), timeout_s=30)
            posted = finals(valkey)
    [tally] = tallies
    lost = [one for one in tally.all if one.status == 504]
    twice = [one for one, count in posted.items() if count > 1]
    each = ", ".join(f"{one:.2f}" for one in spent)
    tell(
        f"replies came again {each} s after kills -9 of the queue server (limit "
        f"{REPLIES_LIMIT_S:g} s); {tally}; {len(lost)} lost, {len(twice)} answered twice"
    )
    assert max(spent) < REPLIES_LIMIT_S
    assert not tally.silent
    assert not lost
    assert not twice
