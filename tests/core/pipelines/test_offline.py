import pytest

from core.errors import DataError
from core.pipelines import offline
from core.pipelines.bundle import Bundle
from core.pipelines.offline import decode_batch, decode_each
from tests.core.pipelines.small import SAID
from tests.core.pipelines.untaught import untaught_bundle

SOURCES = [" ".join(source for source, _ in SAID[: 1 + n % 5]) + "!" * (n % 7) for n in range(40)]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """A model that was taught nothing, but says something to everything."""
    return untaught_bundle()


def test_however_many_there_are_they_are_answered_in_their_order(bundle, monkeypatch) -> None:
    monkeypatch.setattr(offline, "WINDOW", 8)
    spec = bundle.plan.decode
    wanted = decode_batch(bundle, [[text] for text in SOURCES], [spec] * len(SOURCES))
    read = []

    def asked():
        for number, text in enumerate(SOURCES):
            read.append(number)
            yield ([text], spec) if number % 10 else None

    ahead = 0
    for number, candidates in enumerate(decode_each(bundle, asked())):
        ahead = max(ahead, len(read) - number)
        told = [one.text for one in candidates]
        assert told == ([one.text for one in wanted[number]] if number % 10 else [])
    assert number == len(SOURCES) - 1
    assert ahead < len(SOURCES), "they are not all read before the first is answered"


def test_each_is_searched_for_by_its_own_options(bundle) -> None:
    greedy = bundle.plan.decode.model_copy(update={"beam_size": 1, "max_tokens": 3})
    several = bundle.plan.decode.model_copy(update={"beam_size": 4, "n_best": 3})
    one, other = decode_each(bundle, [(["hello"], greedy), (["hello"], several)], details=True)
    assert len(one) == 1
    assert len(one[0].details.tokens) <= 3
    assert len({candidate.text for candidate in other}) == 3


def test_what_is_wrong_is_named_by_its_number_once_all_before_it_is_done(bundle) -> None:
    spec = bundle.plan.decode
    wrong = spec.model_copy(update={"prefix": "hello", "max_tokens": 1})
    asked = [(["hello"], spec), None, (["hello"], wrong), (["never read"], wrong)]
    answers = decode_each(bundle, asked, first=11)
    assert next(answers)[0].text
    assert next(answers) == []
    with pytest.raises(DataError) as refused:
        next(answers)
    [(line, reason)] = refused.value.lines
    assert line == 13
    assert "prefix" in reason
