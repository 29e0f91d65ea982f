"""``malgil chat`` and ``malgil translate``: ask a model from a terminal or a pipe."""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from services.cli.client import Client, connect, settings
from services.cli.decoding import decoding
from services.cli.failures import Exit, Failure
from services.cli.options import Decoding, JsonFlag
from services.cli.screen import Screen

BATCH = 64  # texts in one request
HISTORY_FILE = "chat_history"

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A name, or the id of a checkpoint.")]


def chat(model: Model, decode: Decoding = None, as_json: JsonFlag = False) -> None:
    """Talk with a model that remembers what was said.

    /new starts afresh, /quit or Ctrl-D ends. Without a terminal each line is one turn.
    """
    screen, asked = Screen(as_json=as_json), decoding(decode or [])
    with connect() as client:
        talk = _start(client, model)
        lines = _typed(screen) if sys.stdin.isatty() and screen.is_live else _piped()
        for line in lines:
            match line.strip():
                case "":
                    continue
                case "/quit":
                    break
                case "/new":
                    talk = _start(client, model)
                    screen.say("A new conversation.", style="dim")
                case text:
                    _turn(client, talk, {"text": text, "decode": asked}, screen)


def translate(
    model: Model,
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="Else the lines of stdin.")
    ] = None,
    decode: Decoding = None,
    as_json: JsonFlag = False,
) -> None:
    """Put texts through a model, each on its own; the order stays.

    What was read from a pipe is printed as it is done, a line for each line.
    """
    screen, asked = Screen(as_json=as_json), decoding(decode or [])
    waiting = iter(texts) if texts else _piped()
    done: list[dict[str, Any]] = []
    with connect() as client:
        while batch := list(islice(waiting, BATCH)):
            body = {"model": model, "texts": batch, "decode": asked}
            answers = client.ask("POST", "/v1/translations", body=body)["translations"]
            for answer in answers:
                screen.say(answer["text"])
            done += answers if as_json else []
    screen.result({"translations": done})


def _start(client: Client, model: str) -> str:
    return str(client.ask("POST", "/v1/conversations", body={"model": model})["id"])


def _turn(client: Client, talk: str, body: dict[str, Any], screen: Screen) -> None:
    answer = client.ask("POST", f"/v1/conversations/{talk}/turns", body=body)
    reply = answer["reply"]
    if screen.as_json:
        screen.line({"conversation": talk, "text": body["text"], "reply": reply})
    else:
        screen.say(reply["text"], style="cyan" if screen.is_live else "")


def _typed(screen: Screen) -> Iterator[str]:
    """Yield lines from the terminal, with those of earlier times to go back to."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory

    home = settings().home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    session: PromptSession[str] = PromptSession(history=FileHistory(str(home / HISTORY_FILE)))
    screen.say("/new starts afresh, /quit ends.", style="dim")
    while True:
        try:
            yield session.prompt("> ")
        except EOFError:
            return


def _piped() -> Iterator[str]:
    """Yield the lines of standard input, without their ends."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            detail = f"line {number} of standard input is not UTF-8: {error.reason}"
            raise Failure(Exit.REFUSED, "The input cannot be read", detail) from error
        yield text.rstrip("\r\n")
