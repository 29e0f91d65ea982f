"""Named plans: ``RECIPES`` and ``find``."""

from core.recipes.systems import RECIPES, Recipe, find

__all__ = ["RECIPES", "Recipe", "find"]
