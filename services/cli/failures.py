"""How a command can fail, and what its exit code says about that."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from core.errors import DataError, InputError, MalgilError, NotFoundError, UnavailableError


class Exit(IntEnum):
    """What the exit code means."""

    OK = 0
    FAILED = 1
    REFUSED = 2
    UNAVAILABLE = 3
    INTERRUPTED = 130


EPILOGUE = (
    "Exit codes: 0 done; 1 failed (a job that failed, say); 2 wrong usage, or the server refused "
    "the input; 3 no server, or it cannot answer now: trying again can help; 130 interrupted. "
    "The server is looked for at MALGIL_API_URL, by default http://127.0.0.1:8000."
)


class Failure(Exception):  # noqa: N818 (it is what the user sees, not a fault of the program)
    """Ends a command; ``problem`` has the fields of RFC 9457, of which title is always there."""

    def __init__(self, code: Exit, title: str, detail: str = "", **more: Any) -> None:
        super().__init__(f"{title}: {detail}" if detail else title)
        self.code = code
        self.problem: dict[str, Any] = {"title": title, "detail": detail, **more}


def from_problem(status: int, problem: dict[str, Any]) -> Failure:
    """Return the failure that an error answer of the API means."""
    code = Exit.UNAVAILABLE if status >= 500 or status == 429 else Exit.REFUSED
    known = {key: problem[key] for key in ("type", "instance", "errors", "lines") if key in problem}
    title, detail = str(problem.get("title", "")), str(problem.get("detail", ""))
    return Failure(code, title or f"The server answers {status}", detail, status=status, **known)


def from_error(error: MalgilError) -> Failure:
    """Return the failure that an error of the house means where no server was asked."""
    code = Exit.FAILED
    if isinstance(error, InputError | NotFoundError):
        code = Exit.REFUSED
    elif isinstance(error, UnavailableError):
        code = Exit.UNAVAILABLE
    more: dict[str, Any] = {}
    if isinstance(error, DataError):
        more["lines"] = [{"line": line, "message": why} for line, why in error.lines]
    return Failure(code, str(error), **more)


def refused(field: str, message: str) -> Failure:
    """Return the failure of an argument that cannot be right."""
    return Failure(Exit.REFUSED, "The arguments do not fit", f"{field}: {message}")


def sentences(problem: dict[str, Any]) -> Sequence[str]:
    """Return what a problem says: what is wrong as a whole, then each field and line."""
    errors, lines = problem.get("errors") or (), problem.get("lines") or ()
    fields = [f"{one.get('field')}: {one.get('message')}" for one in errors]
    said = [*fields, *(str(one.get("message")) for one in errors)]
    whole = [str(problem["detail"])] if problem.get("detail") not in {None, "", *said} else []
    return [*whole, *fields, *(f"line {one.get('line')}: {one.get('message')}" for one in lines)]
