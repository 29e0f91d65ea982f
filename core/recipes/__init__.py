"""Named plans: ``RECIPES`` and ``find``."""

from core.recipes.materials import Material
from core.recipes.recipe import CorpusKind, Recipe, Target, kinds_for
from core.recipes.systems import RECIPES, find

__all__ = ["RECIPES", "CorpusKind", "Material", "Recipe", "Target", "find", "kinds_for"]
