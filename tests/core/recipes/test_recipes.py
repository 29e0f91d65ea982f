"""What is true of every recipe, before anything is learned."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from core.errors import NotFoundError
from core.models.build import build
from core.recipes import RECIPES, Target, find
from core.specs import Plan, parse

SIZES = {
    "tokenizer.vocabulary_size",
    "model.embedding_dim",
    "model.hidden_dim",
    "model.encoder_hidden_dim",
    "model.feed_forward_dim",
    "model.questions.reader_dim",
    "train.max_epochs",
    "train.time_limit_s",
    "train.validate_every",
    "train.score_rows",
    "train.report_rows",
    "train.max_source_tokens",
    "train.max_target_tokens",
    "decode.beam_size",
    "decode.max_tokens",
}
METRICS = {"exact_match", "chrf", "bleu", "rouge_l", "valid_perplexity", "valid_word_perplexity"}
ORIGINAL = {  # of the six additions, as the notes' book has them
    "addition": 0.121,
    "addition-reverse": 0.540,
    "addition-peeky": 0.816,
    "addition-reverse-peeky": 0.984,
    "addition-attention": 0.227,
    "addition-reverse-attention": 0.888,
}


def changes(before: dict[str, Any], after: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in before.items():
        if isinstance(value, dict):
            yield from changes(value, after[key], f"{above}{key}.")
        elif after[key] != value:
            yield f"{above}{key}"


@pytest.mark.parametrize("name", RECIPES)
def test_every_plan_survives_being_stored(name: str) -> None:
    plan = RECIPES[name].plan
    assert parse(Plan, plan.model_dump(mode="json")) == plan


@pytest.mark.parametrize("name", RECIPES)
def test_a_trial_changes_nothing_but_sizes(name: str) -> None:
    recipe = RECIPES[name]
    changed = set(changes(recipe.plan.model_dump(), recipe.quick_plan().model_dump()))
    assert changed
    assert changed <= SIZES


@pytest.mark.parametrize("name", RECIPES)
def test_every_network_can_be_built_in_full(name: str) -> None:
    with torch.device("meta"):  # no memory, no arithmetic: only shapes
        network = build(RECIPES[name].plan.model, vocabulary_size=100)
    assert sum(parameter.numel() for parameter in network.parameters()) > 0


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_what_it_is_judged_by_and_whose_figure_that_is(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.name == name
    assert recipe.headline.metric in METRICS | {"test_perplexity"}
    assert recipe.headline.source
    assert (recipe.headline.figure is None) == (recipe.headline.sense is None)


def test_the_fables_have_exactly_the_parameters_of_the_note() -> None:
    network = build(RECIPES["aesop-lstm"].plan.model, vocabulary_size=4169)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_853_901


def test_the_additions_are_measured_against_the_original() -> None:
    assert {name: RECIPES[name].headline.figure for name in ORIGINAL} == ORIGINAL
    assert all(RECIPES[name].plan.train.max_epochs == 25 for name in ORIGINAL)


def test_a_figure_is_reached_from_its_own_side() -> None:
    assert Target("bleu", 30.0, "at_least", "x").reached(30.0)
    assert not Target("bleu", 30.0, "at_least", "x").reached(29.9)
    assert Target("perplexity", 30.0, "at_most", "x").reached(29.9)
    assert Target("bleu", source="x").reached(1.0) is None
    assert Target("bleu", 30.0, "at_least", "x").reached(None) is None


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(NotFoundError, match="nonsense"):
        find("nonsense")
