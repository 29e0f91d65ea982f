"""Stay with a job until it has ended."""

import time
from contextlib import nullcontext
from typing import Any

from rich.live import Live

from services.cli.client import Client
from services.cli.failures import Exit, Failure
from services.cli.following import follow
from services.cli.picture import Picture
from services.cli.screen import Screen, facts

QUIET_S = 5.0  # between two lines of progress where there is no terminal to redraw
SCORES = ("valid_loss", "valid_perplexity", "bleu", "chrf", "exact_match", "distinct_2")


def watch_or_leave(
    client: Client, job_id: str, screen: Screen, *, name: str = ""
) -> dict[str, Any]:
    """Do as ``watch`` does, and say how to look again where that is interrupted."""
    try:
        return watch(client, job_id, screen, name=name)
    except KeyboardInterrupt:
        again = f"malgil jobs watch {job_id}"
        screen.say(f"\nThe job goes on without you. Look again with: {again}")
        raise


def watch(client: Client, job_id: str, screen: Screen, *, name: str = "") -> dict[str, Any]:
    """Show a job until it has ended and return it; being interrupted does not end it.

    Raises Failure where it failed or was cancelled.
    """
    _show(client, job_id, screen, name or f"job {job_id}")
    job: dict[str, Any] = client.ask("GET", f"/v1/jobs/{job_id}")
    if job["status"] != "succeeded":
        how = "failed" if job["status"] == "failed" else "was cancelled"
        raise Failure(Exit.FAILED, f"The job {how}", job["error"] or "", job=job)
    return job


def show_end(client: Client, job: dict[str, Any], screen: Screen) -> None:
    """Tell what a job that succeeded has left."""
    checkpoint = client.ask("GET", f"/v1/checkpoints/{job['checkpoint_id']}")
    metrics = checkpoint["metrics"]
    told = [
        ("model", job["spec"].get("promote_to")),
        ("checkpoint", checkpoint["id"]),
        *((key.replace("_", " "), metrics.get(key)) for key in SCORES),
    ]
    screen.result({"job": job, "checkpoint": checkpoint}, facts(told))


def _show(client: Client, job_id: str, screen: Screen, name: str) -> None:
    picture = Picture(name)
    spoke_at = time.monotonic()
    live = Live(picture, console=screen.out, refresh_per_second=8) if screen.is_live else None
    with live or nullcontext():
        for event in follow(client, job_id):
            line = picture.hear(event)
            if screen.as_json:
                screen.line({"event": event.kind, **event.numbers(), "data": event.data})
            elif live is None and line is not None:
                screen.say(f"{name}: {line}")
            elif live is None and time.monotonic() - spoke_at >= QUIET_S and picture.figures():
                spoke_at = time.monotonic()
                screen.say(f"{name}: {picture.figures()}")
