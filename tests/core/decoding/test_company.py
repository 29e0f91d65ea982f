import pytest

from core.specs import ModelSpec
from tests.core.decoding.company import difference, some_requests, together, ways
from tests.core.decoding.networks import fresh, one_of_each_kind
from tests.core.models.family import label


@pytest.mark.parametrize("spec", one_of_each_kind(), ids=label)
def test_a_request_gets_what_it_gets_alone_in_whatever_company(spec: ModelSpec) -> None:
    requests = some_requests(spec, 10, seed=1)
    alone = {one.key: together(fresh(spec), [one])[one.key] for one in requests}
    for way, found in ways(spec, requests):
        for key, answer in found.items():
            apart = difference(alone[key], answer)
            assert apart.same, (way, requests[key], alone[key], answer)
            assert apart.score < 1e-5, (way, requests[key])
