"""``malgil documents``: texts that questions are asked about."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.client import connect
from services.cli.corpora import upload
from services.cli.options import JsonFlag, Limit
from services.cli.screen import Screen, facts, moment, size, table

app = typer.Typer(
    help="Add the documents that questions are asked about, look at them, remove them.",
    no_args_is_help=True,
)

DocumentId = Annotated[str, typer.Argument(metavar="DOCUMENT", help="The id of a document.")]


class Format(StrEnum):
    """How a file is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    PDF = "pdf"
    SQUAD = "squad"
    JSONL = "jsonl"


@app.command()
def add(
    files: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, readable=True, help="Of any formats."),
    ],
    *,
    file_format: Annotated[
        Format | None, typer.Option("--format", help="Guessed from each file's name if left out.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of a single document.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Of documents that do not say it, such as ko.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Upload files: text, Markdown, HTML, PDF, SQuAD or KorQuAD JSON, JSON lines with a text."""
    screen = Screen(as_json=as_json)
    form = {"format": file_format, "title": title, "language": language}
    with connect() as client:
        added = upload(client, "/v1/documents", files, screen, form)
    words = f"{added['new']} added, {added['known']} were there already."
    screen.result(added, _table(added["data"]), words)


@app.command("list")
def list_(limit: Limit = 50, as_json: JsonFlag = False) -> None:
    """List the documents, newest first."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        rows = client.rows("/v1/documents", limit=limit)
    screen.result({"data": rows}, _table(rows))


@app.command()
def show(
    document: DocumentId,
    passages: Annotated[int, typer.Option(min=0, max=200, help="How many to show.")] = 3,
    as_json: JsonFlag = False,
) -> None:
    """Show a document and its first passages."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        found = client.ask("GET", f"/v1/documents/{document}")
        path, params = f"/v1/documents/{document}/passages", {"limit": passages}
        first = client.ask("GET", path, params=params)["data"] if passages else []
    rows = [(f"{one['start']}-{one['end']}", one["text"]) for one in first]
    shown = table(("place", "passage"), rows)
    screen.result({**found, "passages": first}, _facts(found), *([shown] if rows else []))


@app.command()
def remove(
    document: DocumentId,
    with_pairs: Annotated[bool, typer.Option("--with-pairs", help="Its pairs go as well.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Remove a document; refused while it has pairs, unless they are to go with it."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        found = client.ask("GET", f"/v1/documents/{document}")
        params = {"with_pairs": with_pairs}
        client.ask("DELETE", f"/v1/documents/{document}", params=params)
    screen.result({"removed": found["id"]}, f"Removed {found['title']}.")


def _table(rows: list[dict[str, Any]]) -> Any:
    columns = ("document", "title", "format", "language", "characters", "added")
    body = (
        (
            row["id"],
            row["title"],
            row["format"],
            row["language"],
            row["length"],
            moment(row["created_at"]),
        )
        for row in rows
    )
    return table(columns, body)


def _facts(document: dict[str, Any]) -> Any:
    return facts(
        [
            ("document", document["id"]),
            ("title", document["title"]),
            ("file", document["name"]),
            ("format", document["format"]),
            ("size", size(document["bytes"])),
            ("characters", document["length"]),
            ("language", document["language"]),
            ("added", moment(document["created_at"])),
        ]
    )
