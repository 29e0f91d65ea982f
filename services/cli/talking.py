"""``malgil chat``: talk with a model from a terminal or a pipe."""

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from services.cli.client import Client, connect, settings
from services.cli.decoding import decoding
from services.cli.options import Decoding, JsonFlag
from services.cli.piped import piped
from services.cli.screen import Screen

HISTORY_FILE = "chat_history"

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A name, or the id of a checkpoint.")]


def chat(model: Model, decode: Decoding = None, as_json: JsonFlag = False) -> None:
    """Talk with a model that remembers what was said.

    /new starts afresh, /quit or Ctrl-D ends. Without a terminal each line is one turn.
    """
    screen, asked = Screen(as_json=as_json), decoding(decode or [])
    with connect() as client:
        talk = _start(client, model)
        lines = _typed(screen) if sys.stdin.isatty() and screen.is_live else piped()
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


def _start(client: Client, model: str) -> str:
    return str(client.make("/v1/conversations", body={"model": model})["id"])


def _turn(client: Client, talk: str, body: dict[str, Any], screen: Screen) -> None:
    answer = client.make(f"/v1/conversations/{talk}/turns", body=body)
    reply = answer["reply"]
    if screen.as_json:
        screen.line({"conversation": talk, "text": body["text"], "reply": reply})
    else:
        screen.say(reply["text"], style="cyan" if screen.is_live else "")
        source = reply.get("source")
        if source and screen.is_live:  # from a pipe each line gets one line
            told = f"{source['title']}: {source['question']} ({source['similarity']:.2f})"
            screen.say(told, style="dim")


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
