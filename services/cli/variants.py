"""Runs of recipes with other settings, kept in folders of their own beside the rest.

``malgil recipe run NAME --set ... --results FOLDER/VARIANT`` adds one.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.recipes import RECIPES, Recipe
from services.cli.results import Result, read_results

_NO_SETTING = frozenset({"train.seed"})  # several of it are told together


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Runs of one recipe with the same changes, one at least, the lowest seed first."""

    name: str  # of its folder
    runs: tuple[Result, ...]

    @property
    def recipe(self) -> Recipe:
        """The recipe that was changed."""
        return RECIPES[self.runs[0].recipe]

    @property
    def changes(self) -> list[str]:
        """What of the plan is not as the recipe has it today, as ``--set`` is told it."""
        return list(_changes(self.recipe.plan.model_dump(mode="json"), self.runs[0].plan))


def read_variants(folder: Path) -> list[Variant]:
    """Return what the folders in ``folder`` hold, by name; trials and strangers are left out.

    Raises Failure naming a file that is no result.
    """
    found = []
    for inside in sorted(path for path in folder.iterdir() if path.is_dir()):
        runs: dict[str, list[Result]] = defaultdict(list)
        for one in read_results(inside):
            if one.recipe in RECIPES and not one.quick:
                runs[one.recipe].append(one)
        found += [Variant(name=inside.name, runs=tuple(some)) for some in runs.values()]
    return found


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield where the plans differ; what a plan of earlier days does not have is no change."""
    for key, value in before.items():
        told = after.get(key, value)
        path = f"{above}{key}"
        if isinstance(value, dict) and isinstance(told, dict):
            yield from _changes(value, told, f"{path}.")
        elif told != value and path not in _NO_SETTING:
            yield f"{path}={told if isinstance(told, str) else json.dumps(told)}"
