"""Every option in every strategy with every architecture: it keeps its word or is refused.

All requests of an architecture share one engine, so each keeps its word in mixed company.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from core.decoding.engine import Ended, Engine, Failed, Request
from core.decoding.looks import LEAST
from core.decoding.step import SIGNS, Hypothesis, Wish
from core.errors import InputError
from core.models.build import Network
from core.specs import DecodeSpec, ModelSpec
from core.text.tokenizer import UNK
from tests.core.decoding.networks import (
    Forced,
    a_source,
    architectures,
    forced,
    network,
)
from tests.core.decoding.promises import (
    CLOSE,
    NOTHING,
    OF_A_MODEL,
    OPTIONS,
    STRATEGIES,
    Scene,
    Seen,
    cost_of,
    said_by,
)
from tests.core.models.family import VOCABULARY, label


def makes_another_strategy(name: str, strategy: str) -> bool:
    """Whether the option turns the strategy into another one, or has a default that all have."""
    return name in {"seed", "beam_size"} or (name, strategy) == ("temperature", "greedy")


def answers(
    model: Network, wishes: Mapping[Any, tuple[tuple[int, ...], Wish]]
) -> dict[Any, list[Hypothesis]]:
    """What all of ``wishes`` get, in one engine."""
    engine, names, found = Engine(model, max_lines=96), list(wishes), {}
    for key, name in enumerate(names):
        source, wish = wishes[name]
        engine.submit(Request(key=key, source=source, wish=wish))
    while not engine.idle:
        for event in engine.step():
            assert not isinstance(event, Failed), (names[event.key], event.error)
            if isinstance(event, Ended):
                found[names[event.key]] = event.hypotheses
    return found


def looks(spec: ModelSpec) -> bool:
    """Whether a model of ``spec`` can tell where it looked."""
    return network(spec).tells_attention


def scenes(spec: ModelSpec) -> dict[str, Scene]:
    """One for each strategy, with what is said where nothing is asked."""
    begun = {
        strategy: Scene(spec, strategy, a_source(spec, number, 3 + number))
        for number, strategy in enumerate(STRATEGIES)
    }
    usual = answers(
        network(spec), {name: (scene.source, scene.wish({})) for name, scene in begun.items()}
    )
    return {name: replace(scene, usual=tuple(usual[name])) for name, scene in begun.items()}


@pytest.mark.parametrize("spec", architectures(), ids=label)
def test_every_option_keeps_its_word_in_every_strategy(spec: ModelSpec) -> None:
    wishes = {
        (name, strategy): (scene, one.ask(scene))
        for strategy, scene in scenes(spec).items()
        for name, one in OPTIONS.items()
        if strategy in one.needs and (looks(spec) or name not in OF_A_MODEL)
    }
    found = answers(
        network(spec), {case: (scene.source, wish) for case, (scene, wish) in wishes.items()}
    )
    hypotheses = [(case, one) for case, some in found.items() for one in some]
    told, generic = (
        iter(forced(network(spec), [(of(case), wishes[case][1], one) for case, one in hypotheses]))
        for of in (lambda case: wishes[case][0].source, lambda case: (UNK,))
    )
    for case, some in found.items():
        scene, wish = wishes[case]
        seen = Seen(scene, wish, some, [next(told) for _ in some], [next(generic) for _ in some])
        keeps_order(seen, case)
        for one, own in zip(some, seen.forced, strict=True):
            costs_what_it_says(one, own, wish, case)
        if case[1] == "greedy" and case[0] not in {"banned", "prefix"}:
            assert all(left[word] > left.max() - CLOSE for word, left in seen.choices()), case
        assert OPTIONS[case[0]].keeps(seen), (case, some)


def keeps_order(seen: Seen, case: tuple[str, str]) -> None:
    """Check what holds whatever is asked: few enough, distinct, sorted, only words that exist."""
    some = seen.found
    top = max(VOCABULARY, *(word + 1 for word in seen.scene.source))
    assert 1 <= len(some) <= seen.wish.spec.n_best, case
    assert len({(one.tokens, one.ended) for one in some}) == len(some), case
    assert [one.score for one in some] == sorted((one.score for one in some), reverse=True), case
    for one in some:
        assert len(one.tokens) <= seen.wish.spec.max_tokens, case
        assert not {*SIGNS, seen.wish.end} & set(one.tokens), case
        assert all(word < top for word in one.tokens), case


def costs_what_it_says(one: Hypothesis, told: Forced, wish: Wish, case: tuple[str, str]) -> None:
    """Check every score against what the network says step by step."""
    spec, said = wish.spec, said_by(one, wish)
    costs = [
        cost_of(told.log_probs[step], word)
        * (spec.repetition_penalty if word in one.tokens[:step] else 1.0)
        for step, word in enumerate(said)
    ]
    assert list(one.token_log_probs) == pytest.approx(costs, abs=CLOSE, rel=CLOSE), case
    assert one.log_prob == pytest.approx(sum(costs), abs=CLOSE, rel=CLOSE), case
    assert spec.alignments == (one.attention is not None), case
    if spec.anti_generic:
        return  # whose score is another
    lack = 0.0
    if spec.coverage_penalty:
        lack = float(-told.attention[: len(said)].sum(0).clamp(LEAST, 1.0).log().sum())
    score = one.log_prob / len(said) ** spec.length_penalty - spec.coverage_penalty * lack
    assert one.score == pytest.approx(score, abs=CLOSE, rel=CLOSE), case


REFUSED = [
    (name, strategy)
    for name, one in OPTIONS.items()
    for strategy in STRATEGIES
    if strategy not in one.needs and not makes_another_strategy(name, strategy)
]


@pytest.mark.parametrize(("name", "strategy"), REFUSED)
def test_an_option_without_a_meaning_is_refused_with_the_reason(name: str, strategy: str) -> None:
    scene = Scene(ModelSpec(), strategy, (5, 6), (Hypothesis((5,), 0.0, 0.0, ended=True),))
    with pytest.raises(ValidationError, match=name):
        OPTIONS[name].ask(scene)


@pytest.mark.parametrize("spec", [one for one in architectures() if not looks(one)], ids=label)
@pytest.mark.parametrize("name", sorted(OF_A_MODEL))
def test_what_a_model_cannot_do_is_refused_with_the_reason(spec: ModelSpec, name: str) -> None:
    scene = Scene(spec, "beam", a_source(spec, 0, 3))
    with pytest.raises(InputError, match="where it looked") as refused:
        Engine(network(spec)).submit(
            Request(key=0, source=scene.source, wish=OPTIONS[name].ask(scene))
        )
    assert refused.value.field == f"decode.{name}"


def test_the_table_has_every_option_there_is() -> None:
    assert set(OPTIONS) - {NOTHING} == set(DecodeSpec.model_fields)
