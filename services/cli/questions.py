"""``malgil questions``: documents in, questions and answers about them out."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich.console import RenderableType

from services.cli.client import Client, connect
from services.cli.corpora import upload
from services.cli.downloading import download, refuse_to_overwrite
from services.cli.failures import refused
from services.cli.options import JsonFlag, Overrides
from services.cli.pairs import Format, pages
from services.cli.screen import Screen, facts, size, table
from services.cli.train import overrides
from services.cli.watching import watch_or_leave

SHOWN = 10  # pairs


def questions(
    files: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, readable=True, help="Of any formats."),
    ],
    model: Annotated[str, typer.Option(help="An alias or a checkpoint that asks questions.")],
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where to write the pairs.")
    ] = None,
    *,
    file_format: Annotated[Format, typer.Option("--format", help="Of that file.")] = Format.JSONL,
    settings: Overrides = None,
    language: Annotated[str | None, typer.Option(help="Of the documents, such as ko.")] = None,
    priority: Annotated[int, typer.Option(help="Higher goes first.")] = 0,
    watching: Annotated[
        bool, typer.Option("--watch/--no-watch", help="Stay until it has ended.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Have a model ask questions about documents, and keep those that pass its tests.

    --set answers=8 asks about more, --set round_trip=0.8 keeps less; the pairs wait for review.
    """
    screen = Screen(as_json=as_json)
    if out is not None and not watching:
        raise refused("--out", "there is nothing to write before the job has ended")
    if out is not None:
        refuse_to_overwrite(out, force=force, option="--out")
    with connect() as client:
        added = upload(client, "/v1/documents", files, screen, {"language": language})
        body = {
            "kind": "generate",
            "model": model,
            "documents": [one["id"] for one in added["data"]],
            "options": overrides(settings or []),
            "priority": priority,
        }
        job = client.make("/v1/jobs", body=body)
        if not watching:
            screen.result(job, f"Queued as job {job['id']}.")
            return
        if as_json:
            screen.line({"event": "job", "data": job})
        screen.say(f"Queued as job {job['id']}.")
        ended = watch_or_leave(client, job["id"], screen, name=f"questions by {model}")
        _show(client, ended, screen, out, file_format)


def _show(
    client: Client, job: dict[str, Any], screen: Screen, out: Path | None, file_format: Format
) -> None:
    """Show the first pairs, and write all of them if that is wanted."""
    wanted = {"job_id": job["id"]}
    found = list(pages(client, wanted))
    told: list[tuple[str, Any]] = [("job", job["id"]), ("pairs", len(found))]
    if out is not None:
        states = ("new", "accepted", "edited", "rejected")
        query = urlencode({"format": file_format.value, "review": states, **wanted}, doseq=True)
        written = download(client, f"/v1/pairs/export?{query}", out)
        told.append(("written", f"{out} ({size(written)})"))
    rows = [
        (pair["question"], pair["answer"], f"{pair['scores']['round_trip']:.2f}")
        for pair in found[:SHOWN]
    ]
    parts: list[RenderableType] = [facts(told)]
    if rows:
        parts.append(table(("question", "answer", "found again"), rows))
        parts.append(f"Review them: malgil pairs review --job {job['id']}")
    screen.result({"job": job, "pairs": found}, *parts)
