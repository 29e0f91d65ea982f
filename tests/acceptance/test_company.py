"""Requests with mixed options get in any company what they get alone, of every architecture."""

import pytest

from tests.acceptance.conftest import Tell
from tests.core.decoding.company import difference, some_requests, together, ways
from tests.core.decoding.networks import architectures, network
from tests.core.models.family import label

EACH = 64  # requests to an architecture
CLOSE = 1e-5


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_every_architecture_answers_in_company_as_it_answers_alone(tell: Tell) -> None:
    asked, compared, other, largest = 0, 0, [], 0.0
    for spec in architectures():
        requests = some_requests(spec, EACH, seed=2)
        alone = {one.key: together(network(spec), [one])[one.key] for one in requests}
        asked += len(requests)
        for way, found in ways(spec, requests):
            for key, answer in found.items():
                apart = difference(alone[key], answer)
                compared += 1
                if apart.same:
                    largest = max(largest, apart.score)
                else:
                    other.append((label(spec), way, key))
    tell(
        f"{asked} requests to {len(architectures())} architectures, {compared} answers beside "
        f"those given alone: {len(other)} with other tokens, largest difference of a score "
        f"{largest:.1e} (less than {CLOSE:.0e} wanted)"
    )
    assert not other
    assert largest < CLOSE
