"""The process that serves the API."""

import gc
import logging
import sys

import structlog
import uvicorn

from core.settings import Settings
from services.api.app import create_app

GRACE_S = 15  # how long requests may go on after a signal to stop


def serve(settings: Settings | None = None) -> None:
    """Serve until a signal says stop; requests that have begun are then answered first."""
    settings = settings or Settings()
    _log_as_json()
    app = create_app(settings)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    # Streams that follow a job would never end by themselves.
    app.state.stopping = lambda: server.should_exit
    gc.collect()
    gc.freeze()  # what is there now stays: looking through it again would hold requests up
    server.run()


def _log_as_json() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
