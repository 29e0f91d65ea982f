"""Ask a model."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response

from services.api.answers import EventStream, while_connected
from services.api.deps import AnswersDep
from services.api.direct import DirectRoute
from services.api.schemas.problems import problems
from services.api.schemas.replies import (
    CandidateBody,
    ReplyBody,
    ReplyRequest,
    TranslationBody,
    TranslationRequest,
)

router = APIRouter(tags=["replies"], route_class=DirectRoute)

AFTER_TALKS = 1  # somebody waits for each reply of a talk, but for all texts of a list together

EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": ["piece", "reply", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The reply; as server-sent events `piece`, ..., `reply` if asked for.",
        "content": {"text/event-stream": {"itemSchema": EVENT}},
    }
}


@router.post(
    "/v1/replies",
    response_model=ReplyBody,
    summary="Ask for a reply",
    responses={**problems(404, 429, 504, body=True), **STREAMED},
)
async def reply(body: ReplyRequest, request: Request, answers: AnswersDep) -> ReplyBody | Response:
    """Answer a text, or the last message of a talk; whole, or piece by piece with ``stream``.

    A model that answers from what people kept names its ``source``; it then has a score of 0.
    404 unknown model, 429 full inbox, 503 no worker, 504 no reply in time.
    """
    if body.stream:
        events = answers.events(
            model=body.model,
            turns=body.turns(),
            decode=body.decode,
            timeout_s=body.timeout_s,
            details=body.details,
        )
        return EventStream(events, request_id=request.state.request_id)
    return await while_connected(
        request,
        answers.whole(
            model=body.model,
            turns=body.turns(),
            decode=body.decode,
            timeout_s=body.timeout_s,
            details=body.details,
        ),
    )


@router.post(
    "/v1/translations",
    summary="Translate a list of texts",
    responses=problems(404, 429, 504, body=True),
)
async def translate(
    body: TranslationRequest, request: Request, answers: AnswersDep
) -> TranslationBody:
    """Put all texts through the model at once; the answers come in their order.

    One that fails fails the whole: 404 unknown model, 429 full inbox, 503 no worker, 504 no
    reply in time.
    """

    async def one(text: str) -> CandidateBody:
        if not text.strip():
            return CandidateBody(text="", score=0.0)
        best = await answers.whole(
            model=body.model,
            turns=(text,),
            decode=body.decode,
            timeout_s=body.timeout_s,
            details=body.details,
            priority=AFTER_TALKS,
            model_only=True,
        )
        return CandidateBody(text=best.text, score=best.score, details=best.details)

    translations = await while_connected(request, _all_or_none([one(text) for text in body.texts]))
    return TranslationBody(translations=translations)


async def _all_or_none(
    coroutines: list[Coroutine[Any, Any, CandidateBody]],
) -> list[CandidateBody]:
    """Run them together; the first that fails ends the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
