"""``malgil up``: everything in one go on this machine."""

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated, Any

import typer
from rich.text import Text

from services.cli.client import settings
from services.cli.failures import Exit, Failure
from services.cli.options import JsonFlag
from services.cli.screen import Screen
from services.embedded.supervisor import Notice, StartError, Tell, embedded

STYLES = {"started": "green", "died": "red", "killed": "red", "orphan": "yellow", "ended": "dim"}
WORDS = {"orphan": "was left by an earlier run; ended", "killed": "did not end; killed"}


def up(
    host: Annotated[str | None, typer.Option(help="Default: MALGIL_HOST, or 127.0.0.1.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Default: MALGIL_PORT, or 8000. 0: any free one."),
    ] = None,
    home: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where all data lies; MALGIL_HOME.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Start queue server, workers and API, and keep them running until Ctrl-C."""
    screen = Screen(as_json=as_json)
    chosen = settings(host=host, port=port, home=home)
    with interrupted_by_signals(), ExitStack() as running:
        with suppress(KeyboardInterrupt):
            with waiting(screen, "waiting until everything is ready"), started_or_failed():
                url = running.enter_context(embedded(chosen, tell=teller(screen)))
            if as_json:
                screen.line({"event": "ready", "url": url})
            screen.say(f"Ready at {url} (documentation at {url}/docs). Ctrl-C ends it.")
            Event().wait()
        screen.say("Ending.")


def teller(screen: Screen) -> Tell:
    """Return what puts a notice on the screen, in one line where it is no bad news."""

    def tell(notice: Notice) -> None:
        if screen.as_json:
            screen.line({"event": notice.kind, **_without_kind(notice)})
            return
        words = WORDS.get(notice.kind, notice.kind)
        where = notice.where if notice.kind == "started" else notice.text
        line = Text.assemble(
            f"{notice.name:<11}", (words, STYLES[notice.kind]), f" pid {notice.pid}  {where}"
        )
        screen.out.print(line)
        for tail in notice.tail.splitlines():
            screen.out.print(Text(f"  | {tail}", style="dim"))

    return tell


@contextmanager
def started_or_failed() -> Iterator[None]:
    """Turn a start that failed into a failure that shows the log."""
    try:
        yield
    except StartError as error:
        detail = f"The end of {error.log}:\n{error.tail}" if error.tail else ""
        raise Failure(Exit.FAILED, str(error), detail, log=str(error.log)) from error


@contextmanager
def interrupted_by_signals() -> Iterator[Event]:
    """Let the signals that end a process interrupt it like Ctrl-C, so that it cleans up.

    The event is set once one came: some libraries swallow the interrupt while they are imported.
    """
    came = Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.set()
        signal.default_int_handler(number, frame)

    ending = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else it was started with nohup
        ending.append(signal.SIGHUP)
    before = {one: signal.signal(one, interrupt) for one in ending}
    try:
        yield came
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def waiting(screen: Screen, text: str) -> AbstractContextManager[Any]:
    """Return what keeps something turning on a terminal while one waits."""
    return screen.out.status(text) if screen.is_live else nullcontext()


def _without_kind(notice: Notice) -> dict[str, Any]:
    return {key: value for key, value in asdict(notice).items() if value and key != "kind"}
