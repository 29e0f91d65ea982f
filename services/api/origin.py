"""Refusing what another site sends through a visitor's browser.

The API knows no users yet and trusts whoever reaches it, and every page that is open in a
browser on this machine reaches it. Browsers say where a request comes from; programs do not.
"""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.errors import respond

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OWN = frozenset({"", "none", "same-origin"})  # Sec-Fetch-Site; absent: not a browser


class OwnPagesOnly:
    """Answer 403 to a request that changes something and comes from a page of another origin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        foreign = (
            scope["type"] == "http"
            and scope["method"] not in SAFE
            and Headers(scope=scope).get("sec-fetch-site", "") not in OWN
        )
        if foreign:
            error = HTTPException(403, "A page of another site may not change anything here.")
            answer = respond(error, request_id=scope["state"]["request_id"])
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)
