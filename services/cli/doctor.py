"""``malgil doctor``: is everything as it must be, and if not, what to do."""

from dataclasses import asdict

import typer
from rich.text import Text

from services.cli.checkup import Finding, findings
from services.cli.client import settings
from services.cli.failures import Exit
from services.cli.options import JsonFlag
from services.cli.screen import Screen


def doctor(as_json: JsonFlag = False) -> None:
    """Look at every part of the installation that the environment names, and say how to mend it.

    Changes nothing. Exits with 1 when something is wrong.
    """
    screen = Screen(as_json=as_json)
    found = []
    for finding in findings(settings()):
        found.append(finding)
        _tell(screen, finding)
    wrong = sum(not finding.ok for finding in found)
    if as_json:
        screen.line({"ok": not wrong, "checks": [asdict(finding) for finding in found]})
    screen.say(f"{wrong} of {len(found)} are wrong." if wrong else "Everything is as it must be.")
    if wrong:
        raise typer.Exit(Exit.FAILED)


def _tell(screen: Screen, finding: Finding) -> None:
    """Say it as soon as it is known: some looks take seconds."""
    if screen.as_json:
        return
    word, style = ("ok", "green") if finding.ok else ("wrong", "bold red")
    screen.show(Text.assemble((f"{word:<6}", style), f"{finding.name:<24}", finding.found))
    if finding.mend:
        screen.say(f"      {finding.mend}", style="yellow")
