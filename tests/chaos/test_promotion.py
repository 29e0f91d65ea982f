"""What changes while many ask: the model behind a name, the workers, the API."""

import time
from collections import Counter

import httpx
import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.processes import Program, free_port, wait_until
from tests.acceptance.production import House, house, stand_in
from tests.chaos.asking import asking
from tests.chaos.serving import is_ready, promote, serve, tiny_bundle, upload

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

CLIENTS = 16
DEADLINE_S = 15.0
PROMOTIONS = 20
NOTICED_S = 2.0  # after this, replies are to come from what was promoted


def test_a_promotion_fails_no_request(postgres_url: str, tell: Tell) -> None:
    with house(postgres_url, stand_in(0.02)) as running:
        serve(running, workers=2)
        both = [upload(running, tiny_bundle(number)) for number in (1, 2)]
        last = both[PROMOTIONS % 2]
        with asking(running.url, clients=CLIENTS, deadline_s=DEADLINE_S) as tallies:
            for number in range(PROMOTIONS + 1):
                promote(running, both[number % 2])
                promoted = time.monotonic()
                time.sleep(0.7)
            time.sleep(NOTICED_S + 1)
    [tally] = tallies
    by = Counter(one.checkpoint for one in tally.answered)
    late = [one for one in tally.answered if one.at - one.seconds > promoted + NOTICED_S]
    tell(f"{PROMOTIONS} promotions: {tally}; by each of both {[by[one] for one in both]}")
    assert len(tally.answered) == len(tally.all)
    assert min(by[one] for one in both) > 0
    assert late
    assert {one.checkpoint for one in late} == {last}


def test_a_rolling_restart_fails_no_request(postgres_url: str, tell: Tell) -> None:
    with house(postgres_url, stand_in(0.05)) as running:
        serve(running, workers=2)
        ports = [int(running.environment["MALGIL_PORT"]), free_port()]
        running.run_api("api-2", port=ports[1])
        for port in ports:
            wait_until(lambda port=port: is_up(running, port))
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        with asking(*urls, clients=CLIENTS, deadline_s=DEADLINE_S) as tallies:
            for _ in range(2):
                for name in ("inference", "inference-2"):
                    restart(running.programs[name])
                    wait_until(lambda name=name: is_ready(running.programs[name]))
                for name, port in zip(("api", "api-2"), ports, strict=True):
                    restart(running.programs[name])
                    wait_until(lambda port=port: is_up(running, port))
            time.sleep(1)
    [tally] = tallies
    elsewhere = sum(one.elsewhere for one in tally.all)
    tell(
        f"two workers and two API processes, each restarted twice: {tally}; "
        f"{elsewhere} went to the other API because one had hung up"
    )
    assert len(tally.answered) == len(tally.all)


def restart(program: Program) -> None:
    """End a program with SIGTERM and start it again."""
    assert program.end(), f"{program.name} had to be killed"
    program.start()


def is_up(running: House, port: int) -> bool:
    """Whether the API at a port says that it is ready."""
    try:
        return running.client.get(f"http://127.0.0.1:{port}/ready").status_code == 200
    except httpx.TransportError:
        return False
