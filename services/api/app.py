"""The API as one application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from core.settings import Settings
from services.api import docs, errors
from services.api.answers import Answers
from services.api.figures import Figures
from services.api.frame import BodyLimit, Frame
from services.api.kept import Kept
from services.api.once import Answered, replay
from services.api.origin import OwnPagesOnly
from services.api.resources import Opener, open_resources
from services.api.routes import (
    aliases,
    checkpoints,
    conversations,
    corpora,
    documents,
    health,
    jobs,
    pairs,
    recipes,
    replies,
)
from services.api.schemas.problems import Problem

DESCRIPTION = """\
Train small sequence models on a team's own text, and ask them.

Every error is a problem document (RFC 9457); every answer carries an `x-request-id`.
"""
TAGS = [
    {"name": "corpora", "description": "Upload text, look at it, delete it."},
    {"name": "recipes", "description": "Plans that can be trained by name."},
    {"name": "jobs", "description": "Queue a training and watch it."},
    {"name": "checkpoints", "description": "What trainings leave, to download or upload."},
    {"name": "aliases", "description": "Names that people call; promote and roll back."},
    {"name": "replies", "description": "Ask a model, once or text by text."},
    {"name": "conversations", "description": "Talks that the server remembers."},
    {"name": "documents", "description": "Texts that questions are asked about."},
    {"name": "pairs", "description": "Questions and answers: review them, take them out or in."},
    {"name": "health", "description": "For those who run this."},
]
# They are searched in this order; replies are asked for most often, and wait for nothing else.
ROUTERS = (
    replies.router,
    health.router,
    corpora.router,
    recipes.router,
    jobs.router,
    checkpoints.router,
    aliases.router,
    conversations.router,
    documents.router,
    pairs.router,
)
UPLOADS = frozenset(module.router.prefix for module in (corpora, checkpoints, documents, pairs))


def create_app(settings: Settings, *, opener: Opener = open_resources) -> FastAPI:
    """Build the application; ``opener`` opens at start what routes are given, and closes it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opener(settings) as resources:
            app.state.resources = resources
            app.state.kept = Kept(resources.sessions, now=resources.now)
            app.state.answers = Answers(
                inbox=resources.inbox,
                kept=app.state.kept,
                figures=app.state.figures,
                timeout_s=settings.reply_timeout_s,
            )
            async with app.state.kept.followed():
                yield

    app = FastAPI(
        title="Malgil",
        version=version("malgil"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,  # FastAPI's pages load scripts from elsewhere; ours is services.api.docs
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.figures = Figures()
    app.state.stopping = lambda: False
    # The one that is added last is the outermost.
    app.add_middleware(
        BodyLimit,
        upload_limit=settings.upload_limit_mb * 2**20,
        uploads=UPLOADS,
    )
    app.add_middleware(OwnPagesOnly)
    app.add_middleware(Frame, figures=app.state.figures)
    errors.install(app)
    app.add_exception_handler(Answered, replay)
    for router in ROUTERS:
        app.include_router(router)
    docs.install(app)
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]  # FastAPI's own advice
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Describe the routes, and with them the problem document that all their errors refer to.

    FastAPI cannot be told of a model with a media type other than that of the route.
    """
    described = FastAPI.openapi(app)
    schemas = described["components"]["schemas"]
    if "Problem" not in schemas:
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs"))
        schemas["Problem"] = schema
    return described
