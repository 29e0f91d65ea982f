"""Requests that make something, made once however often they are sent: ``Idempotency-Key``.

A route that takes ``OnceDep``, or ``FormOnceDep`` for a form, keeps its answer in the transaction
that makes what it answers with. The same key with the same request is then given that answer for a
day.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, BinaryIO
from uuid import uuid4

import structlog
from fastapi import Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from starlette.datastructures import UploadFile
from starlette.responses import Response

from core.errors import InProgressError
from core.storage import idempotency
from core.storage.tables import IdempotencyKey
from services.api.deps import ResourcesDep

log = structlog.get_logger()

REPLAYED = "Idempotency-Replayed"

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="Sent again with the same request within a day, it brings the same answer "
        "and makes nothing new; with another request, 422; while it is worked on, 409.",
    ),
]


class Answered(Exception):  # noqa: N818 (no fault: it ends a request with what was answered before)
    """The request was worked on before; ``response`` is what came of it."""

    def __init__(self, row: IdempotencyKey) -> None:
        super().__init__(row.key)
        headers = {REPLAYED: "true"} | ({"Location": row.location} if row.location else {})
        self.response = Response(
            row.body, row.status or 200, headers=headers, media_type="application/json"
        )


class Once:
    """One request, its key held while it is worked on; without a key it is like any other."""

    def __init__(
        self,
        asked: tuple[str, str] | None,
        sessions: sessionmaker[Session],
        clock: Callable[[], datetime],
    ) -> None:
        """``asked`` is the key and the fingerprint of the request."""
        self._asked = asked
        self._sessions = sessions
        self._clock = clock
        self._holder = uuid4()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="idempotency", daemon=True)

    def __enter__(self) -> "Once":
        """Raise Answered, InputError or InProgressError, or hold the key."""
        if self._asked is not None:
            key, fingerprint = self._asked
            with self._sessions.begin() as session:
                row = idempotency.begin(
                    session, key, fingerprint=fingerprint, holder=self._holder, now=self._clock()
                )
            if row is not None:
                raise Answered(row)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._asked is None:
            return
        self._over.set()
        self._thread.join()
        try:
            with self._sessions.begin() as session:
                idempotency.let_go(session, self._asked[0], holder=self._holder)
        except SQLAlchemyError as error:
            log.warning("an idempotency key stays held for a while", reason=str(error))

    def keep(
        self, session: Session, body: BaseModel, *, status: int = 201, location: str | None = None
    ) -> None:
        """Keep the answer in ``session``; raises InProgressError if another took the key over."""
        if self._asked is not None:
            idempotency.keep(
                session,
                self._asked[0],
                holder=self._holder,
                status=status,
                location=location,
                body=body.model_dump_json(),
            )

    def _renew(self) -> None:
        key, _ = self._asked or ("", "")
        while not self._over.wait(idempotency.HOLD.total_seconds() / 3):
            try:
                with self._sessions.begin() as session:
                    idempotency.hold(session, key, holder=self._holder, now=self._clock())
            except InProgressError:  # it has its answer by now, or another has it
                return
            except SQLAlchemyError as error:  # the next turn tries again
                log.warning("an idempotency key could not be held", reason=str(error))


async def replay(request: Request, error: Exception) -> Response:
    """Answer as the same request was answered before."""
    del request
    if not isinstance(error, Answered):
        raise error
    return error.response


async def _asked(request: Request, key: Key = None) -> tuple[str, str] | None:
    if key is None:
        return None
    digest = _digest(request)
    digest.update(await request.body())
    return key, digest.hexdigest()


async def _asked_by_form(request: Request, key: Key = None) -> tuple[str, str] | None:
    """Return the key, and what the form says: what divides its parts differs each time."""
    if key is None:
        return None
    digest = _digest(request)
    for name, value in (await request.form()).multi_items():
        told: Any = value
        if isinstance(value, UploadFile):
            told = value.filename, await run_in_threadpool(_content, value.file)
        digest.update(f"{name}={told!r}\n".encode(errors="surrogatepass"))
    return key, digest.hexdigest()


Asked = Annotated[tuple[str, str] | None, Depends(_asked)]
AskedByForm = Annotated[tuple[str, str] | None, Depends(_asked_by_form)]


def _once(asked: Asked, resources: ResourcesDep) -> Iterator[Once]:
    with Once(asked, resources.sessions, resources.now) as once:
        yield once


def _form_once(asked: AskedByForm, resources: ResourcesDep) -> Iterator[Once]:
    yield from _once(asked, resources)


# Their scope ends before the answer is sent: who hears of a failure finds the key free.
OnceDep = Annotated[Once, Depends(_once, scope="function")]
FormOnceDep = Annotated[Once, Depends(_form_once, scope="function")]


def _digest(request: Request) -> "hashlib._Hash":
    return hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())


def _content(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while data := file.read(2**20):
        digest.update(data)
    file.seek(0)
    return digest.hexdigest()
