"""Answers that people kept, given by names that are to give them before a model is asked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.orm import Session, sessionmaker

from core.errors import SpecError
from core.pipelines.patience import DOWN, reason_of
from core.specs import KeptSpec, parse
from core.storage import aliases
from services.api.schemas.fields import Decode

if TYPE_CHECKING:
    from core.pipelines.known import Found, Known

EVERY_S = 2.0
ONLY_A_MODEL = ("skip", "banned", "required", "prefix", "stop", "alignments")  # can do as told

log = structlog.get_logger()


class Kept:
    """What was kept and who gives it, as the database has it, or had it ``EVERY_S`` ago."""

    def __init__(self, sessions: sessionmaker[Session], *, now: Callable[[], datetime]) -> None:
        """``now`` is by the clock of the database."""
        self._sessions = sessions
        self._now = now
        self._names: dict[str, KeptSpec] = {}
        self._strange: set[str] = set()  # names that were warned about
        self._refreshing = Lock()

    @cached_property
    def _known(self) -> "Known":
        """What was kept; numpy is loaded only where somebody wants it."""
        from core.pipelines.known import Known

        return Known(self._sessions, now=self._now)

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Keep in step with the database; while that is down, all stays as it was."""
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    def refresh(self) -> None:
        """Look at the database now; kept answers are read only if a name gives them."""
        with self._refreshing:  # so that who begins later never ends with what was read earlier
            self._refresh()

    def like(self, question: str, wanted: KeptSpec) -> "list[Found]":
        """Return what was kept by now and answers ``question``, the most alike first."""
        self._known.refresh()
        return self._known.like(question, wanted)

    def answer(self, model: str, question: str, decode: Decode) -> "Found | None":
        """Return what ``model`` answers from what was kept, if it does; never waits for anything.

        Where a request tells what to say and what not, or wants to see the model look, it does not.
        """
        wanted = self._names.get(model)
        if wanted is None or any(getattr(decode, name) for name in ONLY_A_MODEL):
            return None
        return next(iter(self._known.like(question, wanted)), None)

    def _refresh(self) -> None:
        with self._sessions() as session:
            told = aliases.that_answer_from_kept(session)
        names = {}
        for name, kept in told.items():
            try:
                names[name] = parse(KeptSpec, kept)
            except SpecError as error:  # a newer version may know more than this one
                if name not in self._strange:
                    log.warning("a name is not understood", name=name, reason=str(error))
                self._strange.add(name)
        if names:
            self._known.refresh()
        self._names = names

    async def _follow(self) -> None:
        down = ""
        while True:
            try:
                await asyncio.to_thread(self.refresh)
                down = ""
            except DOWN as error:
                if not down:
                    down = reason_of(error)
                    log.warning("kept answers stay as they were", reason=down)
            except Exception:
                log.exception("kept answers stay as they were")
            await asyncio.sleep(EVERY_S)
