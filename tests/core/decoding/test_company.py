from dataclasses import replace

import pytest

from core.decoding.step import Hypothesis, Wish
from core.models.build import Network
from core.models.seq2seq import Seq2Seq
from core.specs import ModelSpec
from tests.core.decoding.company import Answer, difference, some_requests, together, ways
from tests.core.decoding.networks import fresh, listed, one_of_each_kind
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


LISTED = [one for one in one_of_each_kind() if not (one.is_language_model or one.copy_source)]


@pytest.mark.parametrize("spec", LISTED, ids=label)
def test_what_a_source_calls_up_is_said_in_whatever_company(spec: ModelSpec) -> None:
    model, requests = listed(spec), some_requests(spec, 40, seed=3)
    plain = [one for one in requests if one.wish.permitted == frozenset() and not one.wish.scripts]
    requests += [replace(one, key=100 + one.key, wish=unscored(one.wish)) for one in plain]
    alone = {one.key: together(model, [one])[one.key] for one in requests}
    assert len(plain) > 3
    for one in plain:
        answer = alone[one.key]
        assert isinstance(answer, str) or called_up(model, one.source, answer)
        assert tokens(answer) == tokens(alone[100 + one.key])
    for way, found in ways(spec, requests, model):
        for key, answer in found.items():
            apart = difference(alone[key], answer)
            assert apart.same, (way, key, alone[key], answer)
            assert not apart.score >= 1e-5, (way, key)  # it is no number where none was asked


def unscored(wish: Wish) -> Wish:
    return replace(wish, scored=False)


def tokens(answer: Answer) -> list[tuple[int, ...]]:
    return [] if isinstance(answer, str) else [one.tokens for one in answer]


def called_up(model: Network, source: tuple[int, ...], answer: list[Hypothesis]) -> bool:
    """Return whether the words of ``answer`` are such as ``source`` calls up."""
    assert isinstance(model, Seq2Seq)
    assert model.lexicon is not None
    known = set(model.lexicon.called_up(source).tolist())
    return all(known.issuperset(one.tokens) for one in answer)
