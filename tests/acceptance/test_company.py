"""Requests with mixed options get in any company what they get alone, of every architecture."""

import copy

import pytest

from core.specs import ModelSpec
from tests.acceptance.conftest import Tell
from tests.core.decoding.company import difference, some_requests, together, ways
from tests.core.decoding.networks import architectures, fresh
from tests.core.models.family import label

EACH = 64  # requests to an architecture
CLOSE = 1e-5  # scores ...
ROUNDING = 4.0  # ... or so many times what float32 itself costs an architecture, alone
NEAR = 1e-4  # sums of a dozen log probabilities, and what else is told


def rounding_of(spec: ModelSpec) -> float:
    """How far scores are from those of the same network in float64, of the same words."""
    exact, found = copy.deepcopy(fresh(spec)).double(), []
    for one in some_requests(spec, EACH, seed=2):
        alone, truth = (together(model, [one])[one.key] for model in (fresh(spec), exact))
        found.append(difference(alone, truth).score)
    return max(found)


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_every_architecture_answers_in_company_as_it_answers_alone(tell: Tell) -> None:
    asked, compared, other, figure = 0, 0, [], 0.0
    scores: dict[ModelSpec, float] = {}
    for spec in architectures():
        requests = some_requests(spec, EACH, seed=2)
        alone = {one.key: together(fresh(spec), [one])[one.key] for one in requests}
        asked += len(requests)
        for way, found in ways(spec, requests):
            for key, answer in found.items():
                apart = difference(alone[key], answer)
                compared += 1
                scores[spec] = max(scores.get(spec, 0.0), apart.score)
                figure = max(figure, apart.figure)
                if not apart.same:
                    other.append((label(spec), way, key))
    tell(
        f"{asked} requests to {len(scores)} architectures, {compared} answers beside those given "
        f"alone: {len(other)} with other tokens, largest difference of a score "
        f"{max(scores.values()):.1e}, of anything else {figure:.1e}"
    )
    far = {spec: score for spec, score in scores.items() if score >= CLOSE}
    limits = {spec: ROUNDING * rounding_of(spec) for spec in far}
    for spec, score in far.items():
        tell(f"{score:.1e}, and {limits[spec] / ROUNDING:.1e} from float64: {label(spec)}")
    assert not other
    assert all(score < limits[spec] for spec, score in far.items())
    assert len(far) <= 1
    assert figure < NEAR
