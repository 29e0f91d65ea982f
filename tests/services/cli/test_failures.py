from typing import Any

import pytest

from core.errors import ConflictError, DataError, NotFoundError, NoWorkerError, SpecError
from services.cli.failures import Exit, from_error, sentences


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ({}, []),
        ({"detail": "No."}, ["No."]),
        ({"detail": "name: no", "errors": [{"field": "name", "message": "no"}]}, ["name: no"]),
        ({"detail": "no", "errors": [{"field": "name", "message": "no"}]}, ["name: no"]),
        (
            {"detail": "2 wrong", "errors": [{"field": "a", "message": "x"}]},
            ["2 wrong", "a: x"],
        ),
        ({"detail": "", "lines": [{"line": 3, "message": "empty"}]}, ["line 3: empty"]),
    ],
)
def test_a_problem_says_everything_once(problem: dict[str, Any], said: list[str]) -> None:
    assert sentences(problem) == said


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SpecError("no"), Exit.REFUSED),
        (NotFoundError("recipe", "x"), Exit.REFUSED),
        (NoWorkerError("none"), Exit.UNAVAILABLE),
        (ConflictError("taken"), Exit.FAILED),
    ],
)
def test_errors_of_the_house_have_their_exit_codes(error: Any, code: Exit) -> None:
    assert from_error(error).code == code


def test_bad_lines_are_told_without_a_server_too() -> None:
    failure = from_error(DataError("bad", lines=[(3, "empty")]))
    assert failure.problem["lines"] == [{"line": 3, "message": "empty"}]
