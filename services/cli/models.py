"""``malgil models``: names, the checkpoints behind them, and files of both."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from services.cli.client import Client, connect
from services.cli.corpora import upload
from services.cli.downloading import download, refuse_to_overwrite
from services.cli.explaining import explain
from services.cli.failures import refused
from services.cli.options import JsonFlag, Limit, OfDocument, OfJob
from services.cli.screen import Screen, facts, moment, size, table

app = typer.Typer(help="Names, and the checkpoints behind them.", no_args_is_help=True)
app.command()(explain)

SCORES = ("valid_loss", "bleu", "chrf", "exact_match")

Name = Annotated[str, typer.Argument(metavar="NAME", help="What people call.")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="A name, or the id of a checkpoint.")]


@app.command("list")
def list_(limit: Limit = 20, as_json: JsonFlag = False) -> None:
    """List the names, and the newest checkpoints."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        aliases = client.ask("GET", "/v1/aliases")["data"]
        checkpoints = client.rows("/v1/checkpoints", limit=limit)
    named = [(one["name"], one["checkpoint_id"], moment(one["updated_at"])) for one in aliases]
    names = {one["checkpoint_id"]: one["name"] for one in aliases}
    rows = [(*_row(one), names.get(one["id"])) for one in checkpoints]
    columns = ("checkpoint", "step", *(key.replace("_", " ") for key in SCORES), "size", "made")
    screen.result(
        {"aliases": aliases, "checkpoints": checkpoints},
        table(("name", "checkpoint", "since"), named),
        "",
        table((*columns, "name"), rows),
    )


@app.command()
def show(model: Model, as_json: JsonFlag = False) -> None:
    """Show the checkpoint behind a model: what it learned from, and how well."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        alias = None if _is_id(model) else client.ask("GET", f"/v1/aliases/{model}")
        checkpoint = _checkpoint(client, alias["checkpoint_id"] if alias else model)
    plan = checkpoint["spec"].get("plan", checkpoint["spec"])
    told = facts(
        [
            ("name", alias and alias["name"]),
            ("kept answers", alias and alias["kept"] and _words(alias["kept"])),
            ("checkpoint", checkpoint["id"]),
            ("job", checkpoint["job_id"]),
            ("step", checkpoint["step"]),
            ("size", size(checkpoint["bytes"])),
            ("made", moment(checkpoint["created_at"])),
            *((f"plan {key}", _words(value)) for key, value in plan.items()),
            *checkpoint["metrics"].items(),
        ]
    )
    screen.result({"alias": alias, "checkpoint": checkpoint}, told)


@app.command()
def promote(
    name: Name,
    checkpoint: Annotated[str, typer.Argument(help="The id of one, or a name that has it.")],
    as_json: JsonFlag = False,
) -> None:
    """Let a name mean a checkpoint from now on."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        body = {"checkpoint": _id_of(client, checkpoint)}
        alias = client.make(f"/v1/aliases/{name}", method="PUT", body=body)
    screen.result(alias, f"{name} is now {alias['checkpoint_id']}.")


@app.command()
def rollback(name: Name, as_json: JsonFlag = False) -> None:
    """Let a name mean again what it meant before; repeat to go further back."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        alias = client.make(f"/v1/aliases/{name}/rollback")
    screen.result(alias, f"{name} is {alias['checkpoint_id']} again.")


@app.command()
def history(name: Name, as_json: JsonFlag = False) -> None:
    """Tell what a name has meant, newest first."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        changes = client.ask("GET", f"/v1/aliases/{name}")["history"]
    rows = [(moment(one["created_at"]), one["action"], one["checkpoint_id"]) for one in changes]
    screen.result({"data": changes}, table(("when", "action", "checkpoint"), rows))


@app.command()
def kept(
    name: Name,
    least: Annotated[
        float | None,
        typer.Option(min=0.5, max=1.0, help="How alike questions must be; 0.85 if not told."),
    ] = None,
    job: OfJob = None,
    document: OfDocument = None,
    off: Annotated[bool, typer.Option("--off", help="Let the model answer all again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Let a name give answers of pairs that people accepted, and ask its model only for the rest.

    That is where a question is nearly the same as one of theirs; the reply says which.
    """
    screen, path = Screen(as_json=as_json), f"/v1/aliases/{name}/kept"
    told = {"least": least, "job_id": job, "document_id": document}
    body = {key: value for key, value in told.items() if value is not None}
    if off and body:
        raise refused("--off", "it leaves nothing to tell more of")
    with connect() as client:
        if off:
            alias = client.ask("DELETE", path)
            screen.result(alias, f"{name} asks its model for every answer.")
            return
        alias = client.make(path, method="PUT", body=body)
    least = alias["kept"]["least"]
    screen.result(alias, f"{name} gives kept answers to questions that are alike by {least:g}.")


@app.command("export")
def export(
    model: Model,
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write the bundle.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a model to one file that another Malgil can import."""
    screen = Screen(as_json=as_json)
    refuse_to_overwrite(file, force=force)
    with connect() as client:
        checkpoint = _id_of(client, model)
        written = download(client, f"/v1/checkpoints/{checkpoint}/file", file)
    done = {"checkpoint": checkpoint, "file": str(file), "bytes": written}
    screen.result(done, f"Wrote {file} ({size(written)}).")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    promote_to: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call it from now on.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Take in a model that was exported."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        checkpoint = upload(client, "/v1/checkpoints", [file], screen, {})
        if promote_to:
            body = {"checkpoint": checkpoint["id"]}
            client.make(f"/v1/aliases/{promote_to}", method="PUT", body=body)
    named = f" as {promote_to}" if promote_to else ""
    screen.result(checkpoint, f"Imported checkpoint {checkpoint['id']}{named}.")


def _checkpoint(client: Client, checkpoint_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.ask("GET", f"/v1/checkpoints/{checkpoint_id}")
    return found


def _id_of(client: Client, model: str) -> str:
    if _is_id(model):
        return model
    return str(client.ask("GET", f"/v1/aliases/{model}")["checkpoint_id"])


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _row(checkpoint: dict[str, Any]) -> tuple[object, ...]:
    return (
        checkpoint["id"],
        checkpoint["step"],
        *(checkpoint["metrics"].get(key) for key in SCORES),
        size(checkpoint["bytes"]),
        moment(checkpoint["created_at"]),
    )


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return str(value)
