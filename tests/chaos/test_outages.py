"""A database or blob store that is out of reach for a minute, while a model learns and answers."""

import time

import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.production import House, house, stand_in
from tests.chaos.asking import asking
from tests.chaos.serving import serve
from tests.chaos.training import add_corpus, queue, wait_for_end, words

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

OUTAGE_S = 60.0
CLIENTS = 4
DEADLINE_S = 10.0
EPOCHS = 120


@pytest.mark.parametrize("part", ["database", "s3"])
def test_a_training_waits_and_replies_go_on(part: str, postgres_url: str, tell: Tell) -> None:
    with house(postgres_url, {**stand_in(0.02), "MALGIL_THREADS": "1"}) as running:
        serve(running, workers=1)
        add_corpus(running)
        calm = queue(running, max_epochs=EPOCHS)
        wait_for_end(running, calm)
        hit = queue(running, max_epochs=EPOCHS)
        running.wait_for_step(hit, 100)
        with asking(running.url, clients=CLIENTS, deadline_s=DEADLINE_S) as tallies:
            running.ways[part].cut()
            time.sleep(OUTAGE_S)
            refused = queueing(running)
            running.ways[part].mend()
            ended = wait_for_end(running, hit)
        said = [word for word in words(running, hit) if word.startswith(("waits", "goes on after"))]
        same = running.curve(hit) == running.curve(calm)
    [tally] = tallies
    tell(
        f"{part} out of reach for {OUTAGE_S:g} s: the training {ended['status']} after "
        f"{ended['attempt']} attempt(s), curve equal: {same}, it said {said}; a new job got "
        f"{refused}; {tally}"
    )
    assert same
    assert ended["attempt"] == 1
    assert said[-1].startswith("goes on after")
    assert refused == {"database": 503, "s3": 201}[part]
    assert len(tally.answered) == len(tally.all)


def queueing(running: House) -> int:
    """Return how a wish for a job is answered; one that is accepted is cancelled."""
    answer = running.client.post("/v1/jobs", json={"corpus": "talk", "recipe": "demo"})
    if answer.status_code == 201:
        running.ask("POST", f"/v1/jobs/{answer.json()['id']}/cancel")
    return answer.status_code
