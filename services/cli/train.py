"""``malgil train``: queue a training."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.client import connect
from services.cli.failures import refused
from services.cli.jobs import job_facts
from services.cli.options import JsonFlag, Overrides
from services.cli.screen import Screen
from services.cli.watching import show_end, watch_or_leave


def train(
    corpus: Annotated[str, typer.Argument(help="Id, name, or name@version.")],
    recipe: Annotated[str | None, typer.Option(help="See: malgil recipe list")] = None,
    plan: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A JSON file, in place of a recipe."),
    ] = None,
    settings: Overrides = None,
    promote_to: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the model is called when done.")
    ] = None,
    priority: Annotated[int, typer.Option(help="Higher goes first.")] = 0,
    watching: Annotated[
        bool, typer.Option("--watch/--no-watch", help="Stay until it has ended.")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Queue the training of a corpus, and watch it."""
    if (recipe is None) == (plan is None):
        raise refused("--recipe", "give either a recipe or a --plan")
    screen = Screen(as_json=as_json)
    body = {
        "kind": "train",
        "corpus": corpus,
        "recipe": recipe,
        "plan": _plan(plan) if plan else None,
        "overrides": overrides(settings or []) or None,
        "promote_to": promote_to,
        "priority": priority,
    }
    with connect() as client:
        job = client.make("/v1/jobs", body=body)
        if not watching:
            screen.result(job, job_facts(job))
            return
        if as_json:
            screen.line({"event": "job", "data": job})
        screen.say(f"Queued as job {job['id']}.")
        ended = watch_or_leave(
            client, job["id"], screen, name=f"{recipe or 'training'} on {corpus}"
        )
        show_end(client, ended, screen)


def overrides(settings: list[str]) -> dict[str, Any]:
    """Read ``a.b=value`` into nested dictionaries; values are JSON, or else words.

    Raises Failure naming the one that makes no sense.
    """
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        *above, last = key.split(".")
        if not equals or not all((*above, last)):
            raise refused("--set", f"{setting!r} does not look like train.max_epochs=5")
        inside = found
        for part in above:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                raise refused("--set", f"{setting!r} lies inside of another value")
        inside[last] = _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plan(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise refused("--plan", f"{file} is no JSON: {error}") from error
