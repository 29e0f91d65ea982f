"""Every option in every strategy with every architecture: it keeps its word or is refused.

All requests of an architecture share one engine, so each keeps its word in mixed company. What
they are held against is computed here step by step, from the network alone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from core.decoding.engine import Ended, Engine, Failed, Request
from core.decoding.looks import LEAST
from core.decoding.step import NEVER, SIGNS, Hypothesis, Wish
from core.errors import InputError
from core.models.build import Network
from core.specs import DecodeSpec, ModelSpec
from core.text.tokenizer import UNK
from tests.core.decoding.networks import (
    Forced,
    a_source,
    architectures,
    first_of,
    forced,
    network,
    spell,
    text_of,
)
from tests.core.models.family import VOCABULARY, label

LONGEST = 8
CLOSE = 1e-4
SURE = 0.6  # how far below the likeliest a word may be that is drawn at a temperature of 0.05

STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "greedy": {"beam_size": 1},
    "sampling": {"beam_size": 1, "temperature": 1.0, "seed": 3},
    "several draws": {"beam_size": 1, "temperature": 1.0, "seed": 3, "n_best": 4},
    "beam": {"beam_size": 4, "n_best": 3},
    "diverse beam": {"beam_size": 4, "n_best": 3, "beam_groups": 2, "diversity": 0.7},
}


@dataclass(frozen=True)
class Scene:
    """What an option is asked for beside: a source, and what is said to it without options."""

    spec: ModelSpec
    strategy: str
    source: tuple[int, ...]
    usual: tuple[Hypothesis, ...] = ()

    def wish(self, changed: Mapping[str, Any], **ids: Any) -> Wish:
        values = {"max_tokens": LONGEST, **STRATEGIES[self.strategy], **changed}
        started = first_of(self.spec, self.source)
        return Wish(spec=DecodeSpec(**values), spell=spell, **{**started, **ids})

    def said(self, start: int, stop: int) -> tuple[int, ...]:
        """Some words of the usual answer; words that it might say where it says too few."""
        return self.usual[0].tokens[start:stop] or (5,)

    @property
    def copied(self) -> tuple[int, ...]:
        return self.source[-1:] if self.spec.copy_source else (9,)


@dataclass(frozen=True)
class Seen:
    """What came of an option."""

    scene: Scene
    wish: Wish
    found: list[Hypothesis]
    forced: list[Forced]  # for each of what was found
    generic: list[Forced]  # the same after a source that says nothing

    def choices(self) -> Iterator[tuple[int, Tensor]]:
        """Yield each word that was chosen, and the log probabilities (V,) it was chosen from."""
        for one, told in zip(self.found, self.forced, strict=True):
            for step, word in enumerate(said_by(one, self.wish)):
                if step >= len(self.wish.prefix):
                    yield word, shaped(self.wish, one.tokens[:step], told.log_probs[step])


@dataclass(frozen=True)
class Option:
    """How an option is asked for, and what it promises."""

    ask: Callable[[Scene], Wish]
    keeps: Callable[[Seen], bool]
    needs: frozenset[str] = frozenset(STRATEGIES)  # who can have it; the others refuse it


def said_by(one: Hypothesis, wish: Wish) -> list[int]:
    """Everything that was said, the end sign too where it was said."""
    ends = len(one.token_log_probs) > len(one.tokens)
    return [*one.tokens, *([wish.end] if ends else [])]


def shaped(wish: Wish, said: tuple[int, ...], log_probs: Tensor) -> Tensor:
    """What may be said after ``said``, and at which price, computed as the options are told."""
    spec, left = wish.spec, log_probs.clone()
    for word in set(said):
        left[word] *= spec.repetition_penalty
    left[[id_ for id_ in wish.never if id_ < len(left)]] = NEVER
    if len(said) < spec.min_tokens:
        left[wish.end] = NEVER
    if size := spec.no_repeat_ngram:
        for word in range(len(left)):
            grams = ngrams((*said, word), size)
            if grams and grams[-1] in grams[:-1]:
                left[word] = NEVER
    return left


def ngrams(words: tuple[int, ...], size: int) -> list[tuple[int, ...]]:
    return [words[start : start + size] for start in range(len(words) - size + 1)]


def contains(words: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return wanted in ngrams(words, len(wanted))


def option(keeps: Callable[[Seen], bool], /, *needs: str, **changed: Any) -> Option:
    """An option that is the same for every source."""
    return Option(lambda scene: scene.wish(changed), keeps, frozenset(needs or STRATEGIES))


def keeps_nothing_back(seen: Seen) -> bool:
    return [one.tokens for one in seen.found] == [one.tokens for one in seen.scene.usual]


def every(holds: Callable[[Hypothesis], bool]) -> Callable[[Seen], bool]:
    return lambda seen: all(map(holds, seen.found))


def is_one_of_two(seen: Seen) -> bool:
    return all(int((left > left[word] + CLOSE).sum()) < 2 for word, left in seen.choices())


def is_in_the_upper_half(seen: Seen) -> bool:
    for word, left in seen.choices():
        chances = left.softmax(-1)
        if chances[chances > chances[word] + CLOSE].sum() >= 0.5 + CLOSE:
            return False
    return True


def is_nearly_the_likeliest(seen: Seen) -> bool:
    return all(left[word] > left.max() - SURE for word, left in seen.choices())


def stops_where_told(seen: Seen) -> bool:
    (stop,) = seen.wish.stop
    for one in seen.found:
        if any(stop in text_of(one.tokens[:step]) for step in range(len(one.tokens))):
            return False
        if stop in text_of(one.tokens) and not one.ended:
            return False
    return True


def ranks_the_generic_low(seen: Seen) -> bool:
    spec = seen.wish.spec
    for one, generic in zip(seen.found, seen.generic, strict=True):
        said = said_by(one, seen.wish)
        anyway = sum(cost_of(generic.log_probs[step], word) for step, word in enumerate(said))
        score = (one.log_prob - spec.anti_generic * anyway) / len(said) ** spec.length_penalty
        if one.score != pytest.approx(score, abs=CLOSE):
            return False
    return True


def looks_as_it_did(seen: Seen) -> bool:
    for one, told in zip(seen.found, seen.forced, strict=True):
        look = torch.from_numpy(one.attention)
        assert look.shape == (len(one.tokens), len(seen.scene.source))
        torch.testing.assert_close(look.sum(1), torch.ones(len(look)))
        torch.testing.assert_close(look, told.attention[: len(look)], atol=CLOSE, rtol=0)
    return True


def is_another_draw(seen: Seen) -> bool:
    return [one.tokens for one in seen.found] != [one.tokens for one in seen.scene.usual]


CHANCE = ("sampling", "several draws")
BEAMS = ("beam", "diverse beam")
NOTHING = "nothing"

OPTIONS: Mapping[str, Option] = {
    NOTHING: option(keeps_nothing_back),
    "beam_size": option(every(lambda one: True), *BEAMS, beam_size=8),
    "n_best": option(lambda seen: len(seen.found) == 1, n_best=1),
    "length_penalty": option(every(lambda one: one.score == one.log_prob), length_penalty=0.0),
    "coverage_penalty": option(every(lambda one: True), *BEAMS, coverage_penalty=1.5),
    "beam_groups": option(every(lambda one: True), "diverse beam", beam_groups=4),
    "diversity": option(every(lambda one: True), "diverse beam", diversity=5.0),
    "anti_generic": option(ranks_the_generic_low, *BEAMS, anti_generic=0.5),
    "temperature": option(is_nearly_the_likeliest, *CHANCE, temperature=0.05),
    "top_k": option(is_one_of_two, *CHANCE, top_k=2),
    "top_p": option(is_in_the_upper_half, *CHANCE, top_p=0.5),
    "seed": option(is_another_draw, "several draws", seed=8),
    "min_tokens": option(every(lambda one: len(one.tokens) >= 6), min_tokens=6),
    "max_tokens": option(every(lambda one: len(one.tokens) <= 3), max_tokens=3),
    "no_repeat_ngram": option(
        every(lambda one: len(set(ngrams(one.tokens, 2))) == len(ngrams(one.tokens, 2))),
        no_repeat_ngram=2,
    ),
    "repetition_penalty": option(every(lambda one: True), repetition_penalty=10.0),
    "skip": Option(
        lambda scene: scene.wish({}, never=(*SIGNS, *scene.said(0, 1))),
        lambda seen: all(seen.scene.said(0, 1)[0] not in one.tokens for one in seen.found),
    ),
    "banned": Option(
        lambda scene: scene.wish({}, banned=(text_of(scene.said(0, 2)) or b"a",)),
        lambda seen: all(seen.wish.banned[0] not in text_of(one.tokens) for one in seen.found),
    ),
    "required": Option(
        lambda scene: scene.wish({"required": ("?",)}, required=((6, 11), scene.copied)),
        lambda seen: all(
            contains(one.tokens, wanted) for one in seen.found for wanted in seen.wish.required
        ),
        frozenset({"beam"}),
    ),
    "prefix": Option(
        lambda scene: scene.wish({}, prefix=(8, *scene.copied, 8)),
        lambda seen: all(one.tokens[:3] == seen.wish.prefix for one in seen.found),
    ),
    "stop": Option(
        lambda scene: scene.wish({}, stop=(text_of(scene.said(1, 2)) or b"a",)), stops_where_told
    ),
    "alignments": option(looks_as_it_did, alignments=True),
}
OF_A_MODEL = {"coverage_penalty", "alignments"}  # a model may be unable to do it


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


def cost_of(log_probs: Tensor, word: int) -> float:
    """Return what ``word`` costs; one that the model cannot say counts as unknown."""
    cost = float(log_probs[word]) if word < len(log_probs) else NEVER
    return cost if cost > NEVER else float(log_probs[UNK])


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
