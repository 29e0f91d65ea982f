"""What routes are given. These are coroutines so that none of them costs a thread."""

from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from services.api.answers import Answers
from services.api.figures import Figures
from services.api.resources import Resources


async def _resources(request: Request) -> Resources:
    return cast(Resources, request.app.state.resources)


async def _figures(request: Request) -> Figures:
    return cast(Figures, request.app.state.figures)


async def _now() -> datetime:
    return datetime.now(UTC)


async def _answers(request: Request) -> Answers:
    return cast(Answers, request.app.state.answers)


ResourcesDep = Annotated[Resources, Depends(_resources)]
FiguresDep = Annotated[Figures, Depends(_figures)]
AnswersDep = Annotated[Answers, Depends(_answers)]
NowDep = Annotated[datetime, Depends(_now)]
