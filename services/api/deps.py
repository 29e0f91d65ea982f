"""What routes are given. Coroutines cost no thread; what may ask the database is none."""

from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from services.api.answers import Answers
from services.api.figures import Figures
from services.api.kept import Kept
from services.api.resources import Resources


async def _resources(request: Request) -> Resources:
    return cast(Resources, request.app.state.resources)


async def _figures(request: Request) -> Figures:
    return cast(Figures, request.app.state.figures)


async def _kept(request: Request) -> Kept:
    return cast(Kept, request.app.state.kept)


async def _answers(request: Request) -> Answers:
    return cast(Answers, request.app.state.answers)


ResourcesDep = Annotated[Resources, Depends(_resources)]
FiguresDep = Annotated[Figures, Depends(_figures)]
KeptDep = Annotated[Kept, Depends(_kept)]
AnswersDep = Annotated[Answers, Depends(_answers)]


def _now(resources: ResourcesDep) -> datetime:
    return resources.now()


NowDep = Annotated[datetime, Depends(_now)]
