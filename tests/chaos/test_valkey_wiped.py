"""A queue server that forgets everything, and doorbells that are dropped or heard twice."""

import os
import time

import pytest
from redis import Redis

from core.queue.messages import INFERENCE_QUEUE, JOBS_QUEUE, SWEEP_QUEUE
from tests.acceptance.conftest import Tell
from tests.acceptance.processes import wait_until
from tests.acceptance.production import ENDED, house, stand_in
from tests.chaos.asking import asking
from tests.chaos.killing import Kill, killing
from tests.chaos.serving import answers, left_in_the_inbox, serve, valkey_of
from tests.chaos.training import add_corpus, made_by, queue, states, wait_for_end

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

JOBS = int(os.environ.get("CHAOS_JOBS") or 6)
EVERY_S = 2.5
CLIENTS = 8
DEADLINE_S = 20.0
AGAIN_LIMIT_S = 10.0
QUEUES = [f"malgil:celery:{name}" for name in (INFERENCE_QUEUE, JOBS_QUEUE, SWEEP_QUEUE)]


def test_nothing_accepted_is_lost_with_the_queue_server(
    postgres_url: str, seed: int, tell: Tell
) -> None:
    with house(postgres_url, stand_in(0.1)) as running, valkey_of(running) as valkey:
        serve(running, workers=2)
        running.run_jobs("jobs-2")
        add_corpus(running)
        jobs = [queue(running, seed=number) for number in range(1, JOBS + 1)]
        with (
            asking(running.url, clients=CLIENTS, deadline_s=DEADLINE_S) as tallies,
            killing(pranks(valkey), pauses=lambda _: EVERY_S, seed=seed) as pranked,
        ):
            ends = [wait_for_end(running, job) for job in jobs]
        told = {job: states(running, job) for job in jobs}
        made = {job: made_by(running, job) for job in jobs}
        valkey.flushall()
        wiped = time.monotonic()
        wait_until(lambda: answers(running))
        again_s = time.monotonic() - wiped
        last = queue(running)
        wait_for_end(running, last)
        wait_until(lambda: left_in_the_inbox(valkey) == (0, 0), timeout_s=30)
    [tally] = tallies
    twice = [job for job in jobs if sum(state in ENDED for state in told[job]) != 1]
    lost = [one for one in tally.all if one.status == 504]
    tell(
        f"{JOBS} jobs ended well, {len(twice)} without exactly one end; {tally}; {len(lost)} lost; "
        f"{dict(sorted(pranked.killed.items()))}; replies came again {again_s:.2f} s after a wipe "
        f"(limit {AGAIN_LIMIT_S:g} s)"
    )
    assert not twice
    assert [made[job] for job in jobs] == [[end["checkpoint_id"]] for end in ends]
    assert not tally.silent
    assert not lost
    assert again_s < AGAIN_LIMIT_S


def pranks(valkey: Redis) -> dict[str, Kill]:
    """Return what is done to the queue server."""

    def wiped() -> bool:
        return bool(valkey.flushall())

    def dropped() -> bool:
        valkey.delete(*QUEUES)
        return True

    def doubled() -> bool:
        for name in QUEUES:
            for message in valkey.lrange(name, 0, -1):
                valkey.rpush(name, message, message)
        return True

    return {"wiped": wiped, "doorbells dropped": dropped, "doorbells doubled": doubled}
