"""The options of decoding: how each is asked for, and what it promises.

What they are held against is computed here step by step, from the network alone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from core.decoding.step import NEVER, SIGNS, Hypothesis, Wish
from core.specs import DecodeSpec, ModelSpec
from core.text.tokenizer import UNK
from tests.core.decoding.networks import (
    Forced,
    first_of,
    spell,
    text_of,
)

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


def cost_of(log_probs: Tensor, word: int) -> float:
    """Return what ``word`` costs; one that the model cannot say counts as unknown."""
    cost = float(log_probs[word]) if word < len(log_probs) else NEVER
    return cost if cost > NEVER else float(log_probs[UNK])


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
