"""``malgil demo``: the whole way once, from a bare machine to a bot that answers."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.text import Text

from core.settings import socket_path
from services.cli.client import Client, settings
from services.cli.corpora import first_examples, upload
from services.cli.failures import Exit, Failure, refused
from services.cli.options import JsonFlag
from services.cli.screen import Screen, table
from services.cli.trial import Answer, Marks, ask, choose, examine, lessons
from services.cli.up import interrupted_by_signals, started_or_failed, teller, waiting
from services.cli.watching import watch
from services.embedded.census import census
from services.embedded.children import SOURCES
from services.embedded.process import tail
from services.embedded.supervisor import Notice, embedded

FILES = ("smalltalk.ko.csv", "helpdesk.ko.csv", "smalltalk.en.csv", "helpdesk.en.csv")
CORPUS = "demo"
RECIPE = "demo"
MODEL = "demo-bot"
SEED = 1
ALL = 1_000_000  # examples


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running until Ctrl-C.")] = False,
    examples: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Where the examples are.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Train a small bot on the examples and ask it; takes minutes, and leaves nothing behind."""
    screen = Screen(as_json=as_json)
    files = _files(examples)
    home = Path(tempfile.mkdtemp(prefix="malgil-"))
    with interrupted_by_signals():
        try:
            Demo(home, files, screen).run(keep=keep)
        except Exception as error:
            _show_logs(home, screen)
            if isinstance(error, Failure):
                error.code = Exit.FAILED  # whatever stood in its way, the demo has failed
            raise
        finally:
            shutil.rmtree(home, ignore_errors=True)


class Demo:
    """One run of the demo, in a home of its own, on a free port."""

    def __init__(self, home: Path, files: list[Path], screen: Screen) -> None:
        # What the environment says of other databases and queues is not for us: "" is "embedded".
        self.settings = settings(
            home=home,
            host="127.0.0.1",
            port=0,
            database_url="",
            redis_url="",
            blobs_url="",
            api_url="",
        )
        self.files = files
        self.screen = screen
        self.pids: set[int] = set()
        self._began = time.monotonic()

    def run(self, *, keep: bool) -> None:
        """Go all the way; raises Failure where a step fails or the bot did not learn its lines."""
        with self._installation() as url, Client(url) as client:
            marks, answers = self._learn_and_ask(client)
            if self.screen.as_json:
                told = {**asdict(marks), "answers": [asdict(one) for one in answers]}
                self.screen.line({"event": "demo", **told, "seconds": self._elapsed_s()})
            if keep:
                self._say(f"Still running. Try: MALGIL_API_URL={url} malgil chat {MODEL}")
                self._say("Ctrl-C ends it.")
                with suppress(KeyboardInterrupt):
                    Event().wait()
            self._say("Ending everything that was started")
        self._check_nothing_is_left()
        if not marks.good_enough:
            raise Failure(Exit.FAILED, "The bot did not learn its lines", marks.verdict())
        self._say("Done.")

    @contextmanager
    def _installation(self) -> Iterator[str]:
        told = teller(self.screen)

        def tell(notice: Notice) -> None:
            self.pids.add(notice.pid)
            told(notice)

        self._say(f"Starting queue server, workers and API in {self.settings.home}")
        with ExitStack() as running:
            with waiting(self.screen, "waiting until everything is ready"), started_or_failed():
                url = running.enter_context(embedded(self.settings, tell=tell))
            self._say(f"Ready at {url}")
            yield url

    def _learn_and_ask(self, client: Client) -> tuple[Marks, list[Answer]]:
        self._say(f"Importing {', '.join(file.name for file in self.files)}")
        form = {"name": CORPUS, "kind": "pairs", "source": "source", "target": "target"}
        corpus = upload(client, "/v1/corpora", self.files, self.screen, form)
        self._say(f"{corpus['train_count']} examples to learn, {corpus['valid_count']} held out")
        body = {"kind": "train", "corpus": CORPUS, "recipe": RECIPE, "promote_to": MODEL}
        job = client.make("/v1/jobs", body=body)
        self._say(f"Training {MODEL} as job {job['id']}")
        watch(client, job["id"], self.screen, name=MODEL)
        self._say("Asking what it was taught")
        taught = lessons(first_examples(client, CORPUS, limit=ALL, split="train"))
        marks = examine(client, MODEL, taught, seed=SEED)
        self._say(marks.verdict())
        known = lessons(first_examples(client, CORPUS, limit=ALL))
        chosen = choose(taught, known=known, seed=SEED)
        answers = [ask(client, MODEL, question) for question, _ in chosen]
        if not self.screen.as_json:
            rows = [
                (it.question, it.reply, it.score, round(it.milliseconds), "seen" if seen else "new")
                for it, (_, seen) in zip(answers, chosen, strict=True)
            ]
            self.screen.show(table(("question", "reply", "score", "ms", ""), rows))
        return marks, answers

    def _check_nothing_is_left(self) -> None:
        left = [one for one in census() if one.pid in self.pids or one.group in self.pids]
        socket = socket_path(self.settings.home)
        if left or socket.exists() or _has_children():
            named = ", ".join(f"{one.pid} ({one.command[:60]})" for one in left)
            raise Failure(Exit.FAILED, "Something was left behind", named or str(socket))
        shutil.rmtree(self.settings.home)
        self._say(
            f"Nothing is left: {len(self.pids)} processes ended, no socket, "
            f"{self.settings.home} removed"
        )

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def _say(self, text: str) -> None:
        self.screen.say(f"[{self._elapsed_s():6.1f} s] {text}", style="bold")


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _files(folder: Path | None) -> list[Path]:
    found = [(folder or SOURCES / "examples") / name for name in FILES]
    if missing := [str(file) for file in found if not file.is_file()]:
        raise refused("--examples", f"there is no {missing[0]}; name the folder of the examples")
    return found


def _show_logs(home: Path, screen: Screen) -> None:
    for log in sorted((home / "logs").glob("*.log")):
        if text := tail(log):
            screen.err.print(Text(f"--- the end of {log.name}", style="bold"))
            screen.err.print(Text(text, style="dim"))
