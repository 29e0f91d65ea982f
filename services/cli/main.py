"""The ``malgil`` command: every part of it, and the one place where failures end."""

import os
import platform
import sys
from importlib.metadata import version

import typer
from typer.exceptions import TyperException

from core.errors import MalgilError
from services.cli import corpora, documents, jobs, models, pairs, recipe
from services.cli.backup import backup, restore
from services.cli.demo import demo
from services.cli.doctor import doctor
from services.cli.failures import EPILOGUE, Exit, Failure, from_error
from services.cli.options import JsonFlag
from services.cli.questions import questions
from services.cli.screen import Screen
from services.cli.talking import chat
from services.cli.train import train
from services.cli.translating import translate
from services.cli.up import up

app = typer.Typer(
    name="malgil",
    help="Train small sequence models on your own text, and serve them.",
    epilog=EPILOGUE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (up, demo, train, chat, translate, questions, doctor, backup, restore):
    app.command()(command)
app.add_typer(corpora.app, name="corpus")
app.add_typer(jobs.app, name="jobs")
app.add_typer(models.app, name="models")
app.add_typer(recipe.app, name="recipe")
app.add_typer(documents.app, name="documents")
app.add_typer(pairs.app, name="pairs")


@app.command("version")
def version_(as_json: JsonFlag = False) -> None:
    """Tell which Malgil this is."""
    told = {"malgil": version("malgil"), "python": platform.python_version()}
    Screen(as_json=as_json).result(told, f"malgil {told['malgil']} (Python {told['python']})")


def main() -> None:
    """Run the command that the process was started with."""
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Run one command and return its exit code; every failure is told here, none is raised."""
    as_json = "--json" in words[: words.index("--")] if "--" in words else "--json" in words
    try:
        code = _invoke(words, standalone=not as_json)
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except Exception as error:
        failure = _failure(error)
        if failure is None:
            raise
        Screen(as_json=as_json).failure(failure)
        return failure.code
    if code == Exit.INTERRUPTED and as_json:
        Screen(as_json=True).failure(Failure(Exit.INTERRUPTED, "Interrupted"))
    return code


def _invoke(words: list[str], *, standalone: bool) -> int:
    """Run one command; what Typer shows by itself, and where it exits, becomes an exit code."""
    try:
        code = app(words, prog_name="malgil", standalone_mode=standalone)
    except SystemExit as ending:
        code = ending.code
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    return code if isinstance(code, int) else Exit.OK


def _failure(error: Exception) -> Failure | None:
    match error:
        case Failure():
            return error
        case MalgilError():
            return from_error(error)
        case TyperException():  # only where JSON was asked for: otherwise it shows itself
            return Failure(Exit.REFUSED, "Wrong usage", error.format_message())
        case UnicodeEncodeError():
            return Failure(Exit.REFUSED, "The text cannot be sent", str(error))
        case OSError():
            return Failure(Exit.FAILED, "The system refused", str(error))
    return None


if __name__ == "__main__":
    main()
