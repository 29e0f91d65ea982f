"""``malgil recipe``: what can be trained by name."""

from typing import Annotated

import typer

from core.recipes import RECIPES, find
from services.cli.options import JsonFlag
from services.cli.running import run
from services.cli.screen import Screen, facts, table

app = typer.Typer(help="Plans that can be trained by name.", no_args_is_help=True)
app.command()(run)


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List the recipes."""
    screen = Screen(as_json=as_json)
    rows = [(one.name, one.title, ", ".join(one.corpus_kinds)) for one in RECIPES.values()]
    data = [{"name": one.name, "title": one.title} for one in RECIPES.values()]
    screen.result({"data": data}, table(("recipe", "what it is", "reads"), rows))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="See: malgil recipe list")], as_json: JsonFlag = False
) -> None:
    """Show a recipe with its whole plan."""
    screen = Screen(as_json=as_json)
    recipe = find(name)
    plan = recipe.plan.model_dump(mode="json")
    values = [
        (f"{part}.{key}", value)
        for part, options in plan.items()
        for key, value in (options.items() if isinstance(options, dict) else ())
    ]
    plain = [(part, value) for part, value in plan.items() if not isinstance(value, dict)]
    head = [("recipe", recipe.name), ("what it is", recipe.title), ("", recipe.description)]
    data = {
        "name": recipe.name,
        "title": recipe.title,
        "description": recipe.description,
        "corpus_kinds": list(recipe.corpus_kinds),
        "plan": plan,
    }
    screen.result(data, facts(head), "", facts([*plain, *values]))
