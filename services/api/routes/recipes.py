"""Plans that can be trained by name."""

from typing import Annotated

from fastapi import APIRouter, Path

from core.recipes import RECIPES, Recipe, find
from services.api.schemas.models import RecipeBody, RecipeList
from services.api.schemas.problems import problems

router = APIRouter(prefix="/v1/recipes", tags=["recipes"])


@router.get("", summary="List the recipes", responses=problems())
async def list_recipes() -> RecipeList:
    """Every recipe with its whole plan."""
    return RecipeList(data=[_body(recipe) for recipe in RECIPES.values()])


@router.get("/{name}", summary="Show a recipe", responses=problems(404))
async def show_recipe(name: Annotated[str, Path(max_length=64)]) -> RecipeBody:
    """One recipe. A job may name it, and lay its own overrides over the plan."""
    return _body(find(name))


def _body(recipe: Recipe) -> RecipeBody:
    return RecipeBody(
        name=recipe.name,
        title=recipe.title,
        description=recipe.description,
        corpus_kinds=list(recipe.corpus_kinds),
        plan=recipe.plan,
    )
