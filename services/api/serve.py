"""The process that serves the API."""

import gc

import uvicorn

from core.logs import log_as_json
from core.settings import Settings
from core.tracing import tracing
from services.api.app import create_app

GRACE_S = 15  # how long requests may go on after a signal to stop


def serve(settings: Settings | None = None) -> None:
    """Serve until a signal says stop; requests that have begun are then answered first."""
    settings = settings or Settings()
    log_as_json(settings.log_level)
    tracing.open("malgil-api")
    app = create_app(settings)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    # Streams that follow a job would never end by themselves.
    app.state.stopping = lambda: server.should_exit
    gc.collect()
    gc.freeze()  # what is there now stays: looking through it again would hold requests up
    server.run()
    tracing.close()
