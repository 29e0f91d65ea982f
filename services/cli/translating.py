"""``malgil translate``: put texts through a model, with a server or without."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.client import connect
from services.cli.decoding import decoding
from services.cli.failures import refused
from services.cli.lines import OfFile, OfTexts, Output, Work, translate_lines
from services.cli.opening import names_a_file
from services.cli.options import Decoding, JsonFlag
from services.cli.piped import piped
from services.cli.screen import Screen

BATCH = 64  # texts in one request
STANDARD = Path("-")  # standard input


def translate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A name, the id of a checkpoint, or the file of an exported one."
        ),
    ],
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="Else the lines of stdin.")
    ] = None,
    *,
    file: Annotated[
        Path | None,
        typer.Option(help="Put its lines through the model, without a server; - is stdin."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where the lines go, without a server.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on behind the lines that --out has already.")
    ] = False,
    decode: Decoding = None,
    details: Annotated[
        bool, typer.Option("--details", help="With --json, each token and its log probability.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Put texts through a model, each on its own; the order stays, and empty ones stay empty.

    With --file, or the file of a model, all of it happens in this process: lines are written in
    their order as they are done, whole ones only, and --resume goes on where a run was cut off.
    What was read from a pipe is printed as it is done, a line for each line. With --json there is
    one object for each line.
    """
    screen, asked = Screen(as_json=as_json), decoding(decode or [])
    if details and not as_json:
        raise refused("--details", "only --json has room for them")
    if resume and out is None:
        raise refused("--resume", "it needs --out")
    if file is not None and texts:
        raise refused("TEXT", "--file is what is read")
    path = None if file == STANDARD else file
    if path is not None and (not path.exists() or path.is_dir()):  # a named pipe will do
        raise refused("--file", f"there is no file {str(path)!r}")
    if file is None and not names_a_file(model):
        if out is not None:
            raise refused("--out", "it needs --file, or the file of a model")
        _ask(model, texts, {"decode": asked, **({"details": True} if details else {})}, screen)
        return
    source = OfTexts(texts) if texts else OfFile(path)
    work = Work(model, asked, details=details, as_json=as_json)
    with Output(out, resume=resume) as output:
        translate_lines(work, source, output, screen)


def _ask(model: str, texts: list[str] | None, options: dict[str, Any], screen: Screen) -> None:
    """Have a server do it."""
    waiting: Iterator[str] = iter(texts) if texts else piped()
    done: list[dict[str, Any]] = []
    with connect() as client:
        while batch := list(islice(waiting, BATCH)):
            body = {"model": model, "texts": batch, **options}
            answers = client.ask("POST", "/v1/translations", body=body)["translations"]
            for answer in answers:
                screen.say(answer["text"])
            done += answers if screen.as_json else []
    screen.result({"translations": done})
