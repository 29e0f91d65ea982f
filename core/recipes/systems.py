"""All recipes by name: ``RECIPES`` and ``find``."""

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType

from core.errors import NotFoundError
from core.recipes import (
    addition,
    algorithm,
    calculator,
    chat,
    dates,
    korean_questions,
    language,
    questions,
    summary,
    translation,
    tutorial,
)
from core.recipes.recipe import Recipe

_FAMILIES = (
    chat.RECIPES,
    translation.RECIPES,
    summary.RECIPES,
    questions.RECIPES,
    korean_questions.RECIPES,
    tutorial.RECIPES,
    addition.RECIPES,
    dates.RECIPES,
    calculator.RECIPES,
    algorithm.RECIPES,
    language.RECIPES,
)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {recipe.name: recipe for recipe in chain.from_iterable(_FAMILIES)}
)


def find(name: str) -> Recipe:
    """Return the recipe called ``name``; raises NotFoundError."""
    try:
        return RECIPES[name]
    except KeyError:
        raise NotFoundError("recipe", name) from None
