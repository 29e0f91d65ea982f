"""One ask on the asking side, and what has come for whoever waits for its reply."""

import asyncio

from core import errors
from core.errors import MalgilError, NoWorkerError
from core.queue.messages import Ask, Reply


class Waiting:
    """An ask that somebody waits for."""

    __slots__ = ("ask", "data", "entry", "heard", "left", "said")

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.data = ask.dump().encode()  # what cannot be written fails here, and spoils no other
        self.entry: bytes | None = None  # in the inbox, once it is there
        self.left = False  # whether nobody waits any more
        self.said = 0  # characters that have come as pieces
        self.heard: asyncio.Queue[Reply | MalgilError] = asyncio.Queue()

    async def next(self) -> Reply:
        """Return what comes next; raises what ended the ask."""
        while True:
            reply = await self.heard.get()
            if isinstance(reply, MalgilError):
                raise reply
            if reply.final:
                self.entry = None  # it has left the inbox
            if reply.error is not None:
                raise _error(reply)
            if reply.begins > self.said:
                raise NoWorkerError("a part of the reply was lost")
            if reply.piece is None:
                return reply
            if reply.begins == self.said:  # else posted a second time
                self.said += len(reply.piece)
                return reply

    def refuse(self, error: MalgilError) -> None:
        """End what could not be put; what was accepted is put again later, until its deadline."""
        if self.entry is None:
            self.heard.put_nowait(error)


def _error(reply: Reply) -> MalgilError:
    """Return the error that a worker named, as itself."""
    kind = getattr(errors, reply.error or "", MalgilError)
    message = reply.message or "the worker gave no reason"
    if kind is errors.NotFoundError:
        return errors.NotFoundError("model", message)
    refused: MalgilError = kind(message)
    if isinstance(refused, errors.InputError):
        refused.field = reply.field
    return refused
