"""Four times as many requests as can be answered: what is accepted is answered soon."""

import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.production import house, stand_in
from tests.acceptance.test_long_run import memory_mb
from tests.chaos.asking import Tally, ask_at, ask_many, quantile
from tests.chaos.serving import serve

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

SMALL = {"MALGIL_BATCH_LIMIT": "8", "MALGIL_INBOX_LIMIT": "32"}
STEP_S = 0.2  # so that clients on the same cores keep up
ALONE = 150  # requests that tell the capacity
TIMES = 4
SPENT_S = 10.0  # of overload, in each of three parts
DEADLINE_S = 15.0
ACCEPTED_LIMIT_S = 3.0
REFUSED_LIMIT_S = 1.0
WATCHED = ("api", "inference")
GROWN = 0.05  # from the first part to the last one, at most


def test_overload_is_refused_at_once_and_what_is_accepted_is_answered_soon(
    postgres_url: str, tell: Tell
) -> None:
    with house(postgres_url, {**stand_in(STEP_S), **SMALL}) as running:
        serve(running, workers=1)
        calm = ask_many(running.url, ALONE, clients=16, deadline_s=DEADLINE_S)
        capacity = ALONE / calm.seconds
        parts, held = [], []
        for _ in range(3):
            parts.append(ask_at(running.url, TIMES * capacity, SPENT_S, deadline_s=DEADLINE_S))
            held.append(
                {name: memory_mb(running.programs[name].pid) for name in ("api", "inference")}
            )
    tally = Tally([one for part in parts for one in part.all], DEADLINE_S)
    refused = [one for one in tally.all if one.status == 429]
    accepted_s, refused_s = (quantile(some, 0.99) for some in (tally.answered, refused))
    grown = {name: held[-1][name] / held[0][name] - 1 for name in held[0]}
    tell(
        f"capacity {capacity:.0f}/s, asked {len(tally.all) / (3 * SPENT_S):.0f}/s; {tally}; "
        f"p99 of accepted {accepted_s:.2f} s (limit {ACCEPTED_LIMIT_S:g} s), "
        f"of 429 {refused_s:.2f} s (limit {REFUSED_LIMIT_S:g} s); memory grew by "
        + ", ".join(f"{100 * share:.1f}% ({name})" for name, share in grown.items())
    )
    assert not tally.silent
    assert len(tally.answered) + len(refused) == len(tally.all)
    assert len(refused) > len(tally.all) / 3
    assert all(int(one.retry_after) >= 1 for one in refused)
    assert accepted_s < ACCEPTED_LIMIT_S
    assert refused_s < REFUSED_LIMIT_S
    assert max(grown.values()) < GROWN
