"""What every error looks like: RFC 9457 problem documents."""

from typing import Any

from pydantic import BaseModel, ConfigDict

PROBLEM_TYPE = "application/problem+json"
_CONTENT = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_WHEN = {
    400: "The body cannot be read at all.",
    404: "There is nothing of that name.",
    409: "It exists already, is in use, or is in the wrong state.",
    413: "The body is too large.",
    422: "Something in the request is wrong; `errors` names the field.",
    429: "Too many asks are waiting; try again after Retry-After seconds.",
    500: "A fault of ours; the log has it under the request id.",
    503: "A part that is needed is down; try again after Retry-After seconds.",
    504: "No answer came in time; try again after Retry-After seconds.",
}
_ALWAYS = (422, 500, 503)
_WITH_BODY = (400, 413)


class FieldProblem(BaseModel):
    """What is wrong with one field; nested fields are joined by dots."""

    field: str
    message: str


class LineProblem(BaseModel):
    """What is wrong with one line of a file."""

    line: int
    message: str


class Problem(BaseModel):
    """What went wrong, fit to show to a user."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:malgil:problem:invalid-request",
                    "title": "The request does not fit",
                    "status": 422,
                    "detail": "text: there is nothing but blanks in it",
                    "instance": "urn:malgil:request:5f0c6a9e7b1d4c0f",
                    "errors": [{"field": "text", "message": "there is nothing but blanks in it"}],
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[FieldProblem] | None = None
    lines: list[LineProblem] | None = None


def problems(*statuses: int, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """Describe, for OpenAPI, the ways a route can fail besides those that all share.

    ``body`` says whether the route takes one, which can be too large or no JSON at all.
    """
    return {
        status: {"description": _WHEN[status], "content": _CONTENT}
        for status in sorted({*statuses, *_ALWAYS, *(_WITH_BODY if body else ())})
    }
