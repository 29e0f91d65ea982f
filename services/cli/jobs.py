"""``malgil jobs``: what is queued, what runs, what came of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from services.cli.client import connect
from services.cli.options import JsonFlag, Limit
from services.cli.screen import Screen, facts, moment, table
from services.cli.watching import show_end, watch_or_leave

app = typer.Typer(help="Look at jobs, watch one, pause or cancel one.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.")]


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@app.command("list")
def list_(
    status: Annotated[Status | None, typer.Option(help="Only jobs that stand there.")] = None,
    limit: Limit = 20,
    as_json: JsonFlag = False,
) -> None:
    """List the jobs, newest first."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        wanted = status.value if status else None
        rows = client.rows("/v1/jobs", limit=limit, status=wanted)
    columns = ("job", "status", "recipe", "model", "step", "queued", "ended", "expected")
    screen.result({"data": rows}, table(columns, map(_row, rows)))


@app.command()
def show(job: JobId, as_json: JsonFlag = False) -> None:
    """Show one job."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        found = client.ask("GET", f"/v1/jobs/{job}")
    screen.result(found, job_facts(found))


@app.command("watch")
def watch_(job: JobId, as_json: JsonFlag = False) -> None:
    """Watch a job until it has ended; Ctrl-C leaves it running.

    With --json: one event a line, and at the end the job and its checkpoint.
    """
    screen = Screen(as_json=as_json)
    with connect() as client:
        client.ask("GET", f"/v1/jobs/{job}")  # an unknown one is told before anything is drawn
        show_end(client, watch_or_leave(client, job, screen), screen)


@app.command()
def cancel(job: JobId, as_json: JsonFlag = False) -> None:
    """Cancel a job: at once if it waits or rests, after its present step if it runs."""
    told = {"cancelled": "Cancelled."}
    _order(job, "cancel", told, "Its worker was asked to stop.", as_json=as_json)


@app.command()
def pause(job: JobId, as_json: JsonFlag = False) -> None:
    """Pause a job: at once if it waits, after its next snapshot if it runs."""
    told = {"paused": "Paused."}
    _order(job, "pause", told, "Its worker was asked to put it aside.", as_json=as_json)


@app.command()
def resume(job: JobId, as_json: JsonFlag = False) -> None:
    """Let a paused job go on: it waits for its turn again."""
    _order(job, "resume", {"queued": "Queued again."}, "It goes on.", as_json=as_json)


def _order(job: str, what: str, told: Mapping[str, str], else_: str, *, as_json: bool) -> None:
    """Ask for ``what``, and tell by the status that the job then has how far that has come."""
    screen = Screen(as_json=as_json)
    with connect() as client:
        found = client.ask("POST", f"/v1/jobs/{job}/{what}")
    screen.result(found, told.get(found["status"], else_))


def job_facts(job: dict[str, Any]) -> Any:
    """Return what a person wants to know of a job."""
    progress, spec = job["progress"] or {}, job["spec"]
    return facts(
        [
            ("job", job["id"]),
            ("status", job["status"]),
            ("position", job.get("position")),
            ("recipe", spec.get("recipe")),
            ("becomes", spec.get("promote_to")),
            ("corpus", job["corpus_id"]),
            ("priority", job["priority"] or None),
            ("attempt", job["attempt"] or None),
            ("worker", job["worker"]),
            ("stage", progress.get("stage")),
            ("step", _step(progress) or None),
            ("error", job["error"]),
            ("checkpoint", job.get("checkpoint_id")),
            ("queued", moment(job["created_at"])),
            ("started", moment(job["started_at"]) or None),
            ("ended", moment(job["ended_at"]) or None),
            ("starts about", moment(job["expected_start_at"]) or None),
            ("ends about", moment(job["expected_end_at"]) or None),
        ]
    )


def _row(job: dict[str, Any]) -> tuple[object, ...]:
    return (
        job["id"],
        job["status"],
        job["spec"].get("recipe"),
        job["spec"].get("promote_to"),
        _step(job["progress"] or {}),
        moment(job["created_at"]),
        moment(job["ended_at"]),
        _expected(job),
    )


def _expected(job: dict[str, Any]) -> str:
    """Return what comes next of a job, and about when."""
    start, end = job["expected_start_at"], job["expected_end_at"]
    if start:
        return f"start {moment(start)}"
    return f"end {moment(end)}" if end else ""


def _step(progress: dict[str, Any]) -> str:
    if progress.get("step") is None:
        return ""
    return f"{progress['step']}/{progress.get('total_steps', '?')}"
