"""``malgil corpus``: upload text, look at it, delete it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from io import FileIO
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from services.cli.client import Client, connect
from services.cli.options import JsonFlag, Limit, Source, SplitColumn, Subject, Target, Turns
from services.cli.screen import Screen, facts, moment, size, table

app = typer.Typer(help="Upload text, look at it, delete it.", no_args_is_help=True)

NAMED = {"text": ("text",), "passages": ("passage", "questions")}  # columns of examples
SHOWN_CONTEXT = 200  # characters
COUNTS = ("train_count", "valid_count", "test_count", "bad_lines")


class Kind(StrEnum):
    """What one example is."""

    PAIRS = "pairs"
    DIALOGUES = "dialogues"
    TEXT = "text"
    PASSAGES = "passages"


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    TEXT = "text"
    SQUAD = "squad"


Files = Annotated[
    list[Path],
    typer.Argument(exists=True, dir_okay=False, readable=True, help="Files of the same format."),
]


@app.command()
def add(
    files: Files,
    *,
    name: Annotated[str, typer.Option(help="A name that is taken gets a new version.")],
    kind: Annotated[Kind, typer.Option(help="What one example is.")] = Kind.PAIRS,
    file_format: Annotated[
        Format | None, typer.Option("--format", help="Guessed from the file name if left out.")
    ] = None,
    source: Source = None,
    target: Target = None,
    turns: Turns = None,
    subject: Subject = None,
    split: SplitColumn = None,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Guessed if left out.")
    ] = None,
    source_language: Annotated[str | None, typer.Option(help="Such as ko.")] = None,
    target_language: Annotated[str | None, typer.Option(help="Such as en.")] = None,
    licence: Annotated[str | None, typer.Option(help="Such as CC0-1.0.")] = None,
    bad_line_limit: Annotated[
        int | None,
        typer.Option(min=0, help="How many unreadable lines to leave out; default: 1 in 1000."),
    ] = None,
    valid_share: Annotated[float | None, typer.Option(help="Held out while training.")] = None,
    test_share: Annotated[float | None, typer.Option(help="Held out for good.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Upload files as one corpus."""
    screen = Screen(as_json=as_json)
    form = {
        "name": name,
        "kind": kind.value,
        "format": file_format.value if file_format else None,
        "source": source,
        "target": target,
        "turns": turns,
        "subject": subject,
        "split": split,
        "header": header,
        "source_language": source_language,
        "target_language": target_language,
        "licence": licence,
        "bad_line_limit": bad_line_limit,
        "valid_share": valid_share,
        "test_share": test_share,
    }
    with connect() as client:
        corpus = upload(client, "/v1/corpora", files, screen, form)
    screen.result(corpus, _facts(corpus))


@app.command("list")
def list_(limit: Limit = 50, as_json: JsonFlag = False) -> None:
    """List the corpora, newest first."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        rows = client.rows("/v1/corpora", limit=limit)
    columns = ("corpus", "kind", "train", "valid", "test", "languages", "added")
    screen.result({"data": rows}, table(columns, map(_row, rows)))


@app.command()
def show(
    corpus: Annotated[str, typer.Argument(help="Id, name, or name@version.")],
    examples: Annotated[int, typer.Option(min=0, max=200, help="How many to show.")] = 5,
    as_json: JsonFlag = False,
) -> None:
    """Show a corpus and its first examples."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        found = client.ask("GET", f"/v1/corpora/{corpus}")
        first = first_examples(client, corpus, limit=examples)
    rows = [(one["split"], one["line"], *_content(one["content"])) for one in first]
    named = NAMED.get(found["kind"], ("source", "target"))
    shown = table(("split", "line", *named), rows)
    screen.result({**found, "examples": first}, _facts(found), *([shown] if rows else []))


@app.command()
def delete(
    corpus: Annotated[str, typer.Argument(help="Id, name, or name@version.")],
    as_json: JsonFlag = False,
) -> None:
    """Delete one version of a corpus; refused while jobs use it."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        found = client.ask("GET", f"/v1/corpora/{corpus}")
        client.ask("DELETE", f"/v1/corpora/{found['id']}")
    screen.result({"deleted": found["id"]}, f"Deleted {found['name']}@{found['version']}.")


def first_examples(
    client: Client, corpus: str, *, limit: int, split: str | None = None
) -> list[dict[str, Any]]:
    """Return examples in the order of the file."""
    rows: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None and len(rows) < limit:
        params = {"split": split, "after": after, "limit": min(limit - len(rows), 200)}
        page = client.ask("GET", f"/v1/corpora/{corpus}/examples", params=params)
        rows += page["data"]
        after = page["next"]
    return rows


def upload(
    client: Client, path: str, files: Sequence[Path], screen: Screen, form: dict[str, Any]
) -> Any:
    """Send files with a form as multipart, a bar showing how far it is; return the answer."""
    told = {key: str(value) for key, value in form.items() if value is not None}
    with _bar(screen) as progress, ExitStack() as opened:
        total = sum(file.stat().st_size for file in files)
        task = progress.add_task("uploading", total=total)
        parts = [
            ("file", (file.name, opened.enter_context(_Counted(file, progress, task))))
            for file in files
        ]
        return client.make(path, form=told, files=parts)


class _Counted(FileIO):
    """A file that tells a bar how much of it was read, and what happens once all of it was."""

    def __init__(self, path: Path, progress: Progress, task: TaskID) -> None:
        super().__init__(path)
        self._bar = progress, task

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, and tell the bar."""
        data = super().read(-1 if size is None else size) or b""
        progress, task = self._bar
        progress.advance(task, len(data))
        if progress.finished:
            progress.update(task, description="reading it there")
        return data


@contextmanager
def _bar(screen: Screen) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    shown = Progress(*columns, console=screen.err, transient=True, disable=not screen.is_live)
    with shown:
        yield shown


def _row(corpus: dict[str, Any]) -> tuple[object, ...]:
    languages = [corpus[key] for key in ("source_language", "target_language") if corpus[key]]
    return (
        f"{corpus['name']}@{corpus['version']}",
        corpus["kind"],
        *(corpus[key] for key in COUNTS[:3]),
        " → ".join(languages),
        moment(corpus["created_at"]),
    )


def _facts(corpus: dict[str, Any]) -> Any:
    return facts(
        [
            ("corpus", f"{corpus['name']}@{corpus['version']}"),
            ("id", corpus["id"]),
            ("kind", corpus["kind"]),
            *((key.replace("_", " "), corpus[key]) for key in COUNTS),
            ("size", size(corpus["bytes"])),
            ("source language", corpus["source_language"]),
            ("target language", corpus["target_language"]),
            ("licence", corpus["licence"]),
            ("added", moment(corpus["created_at"])),
        ]
    )


def _content(content: dict[str, Any]) -> tuple[str, ...]:
    if "text" in content:
        return (str(content["text"]),)
    if "context" in content:
        asked = " / ".join(one["question"] for one in content["questions"])
        return " ".join(content["context"].split())[:SHOWN_CONTEXT], asked
    if "turns" in content:
        return " / ".join(content["turns"][:-1]), str(content["turns"][-1])
    return str(content["source"]), str(content["target"])
