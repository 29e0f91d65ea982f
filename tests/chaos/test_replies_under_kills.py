"""Inference workers are killed with -9 while many ask: each gets an answer or a clear error."""

import os

import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.processes import wait_until
from tests.acceptance.production import house, stand_in
from tests.chaos.asking import ask_many
from tests.chaos.killing import killed_and_started, killing
from tests.chaos.serving import finals, is_ready, left_in_the_inbox, serve, valkey_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

REQUESTS = int(os.environ.get("CHAOS_REPLIES") or 10_000)
CLIENTS = 64
EVERY_S = 5.0  # or later, where a worker takes longer to start: two are running at each kill
DEADLINE_S = 15.0
STEP_S = 0.1  # long enough for asks to be in the hands of whoever is killed


def test_no_request_ends_in_silence_while_workers_are_killed(
    postgres_url: str, seed: int, tell: Tell
) -> None:
    with house(postgres_url, stand_in(STEP_S)) as running:
        serve(running, workers=2)
        workers = [running.programs[name] for name in ("inference", "inference-2")]
        victims = {
            worker.name: killed_and_started(worker, when=lambda: all(map(is_ready, workers)))
            for worker in workers
        }
        with killing(victims, pauses=lambda _: EVERY_S, seed=seed) as killer:
            tally = ask_many(running.url, REQUESTS, clients=CLIENTS, deadline_s=DEADLINE_S)
        with valkey_of(running) as valkey:
            posted = finals(valkey)
            wait_until(lambda: left_in_the_inbox(valkey) == (0, 0), timeout_s=30)
        said = "".join(worker.said() for worker in workers)
    twice = [id_ for id_, count in posted.items() if count > 1]
    heard = {one.id for one in tally.answered}
    tell(
        f"{tally}; {CLIENTS} clients, 2 workers, {tally.seconds:.0f} s, {killer}, "
        f"{said.count('took over the asks')} times a worker took over the asks of a dead one; "
        f"{len(twice)} answered twice (of {len(posted)} last words posted)"
    )
    assert not tally.silent
    assert not twice
    assert len(heard) == len(tally.answered), "two requests got the same reply"
    assert killer.killed.total() >= 1
