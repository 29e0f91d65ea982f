"""``malgil recipe``: what can be trained by name."""

from pathlib import Path
from typing import Annotated

import typer

from core.data.examples import Dialogue, Pair, Passage, Text
from core.data.writing import write_jsonl
from core.recipes import RECIPES, find
from services.cli.client import settings
from services.cli.gathering import own
from services.cli.options import JsonFlag
from services.cli.reporting import report
from services.cli.running import run
from services.cli.screen import Screen, facts, table

app = typer.Typer(help="Plans that can be trained by name.", no_args_is_help=True)
app.command()(run)
app.command()(report)


@app.command()
def data(
    name: Annotated[str, typer.Argument(help="See: malgil recipe list")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="A .jsonl file to be written.")],
    as_json: JsonFlag = False,
) -> None:
    """Write what a recipe learns from as a file that can be uploaded, with its splits.

    malgil corpus add FILE --name NAME --kind KIND --split split makes a corpus of it, divided as
    the recipe divides it.
    """
    screen = Screen(as_json=as_json)
    recipe = find(name)
    corpus = own(recipe, settings().data)
    with out.open("wb") as file:
        count = write_jsonl(corpus, file)
    example = next(one for examples in corpus.values() for one in examples)
    kinds = {Pair: "pairs", Dialogue: "dialogues", Text: "text", Passage: "passages"}
    kind = kinds[type(example)]
    add = f"malgil corpus add {out} --name {name} --kind {kind} --split split"
    told = {"out": str(out), "examples": count, "kind": kind, "add": add}
    screen.result(told, f"{out}: {count:,} examples of {kind}. To upload them: {add}")


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
