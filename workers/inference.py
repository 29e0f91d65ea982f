"""The inference worker: woken by a doorbell, it drains the inbox until nothing is left."""

import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import structlog
from celery.signals import worker_ready
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from core.errors import UnavailableError
from core.pipelines.threads import use_threads
from core.queue.drain import CONSUMER_ALIVE_S, Drain
from core.queue.messages import ANSWER_ASKS, INFERENCE_QUEUE
from core.storage import aliases, checkpoints
from workers import runtime
from workers.app import app

if TYPE_CHECKING:
    from core.pipelines.respond import Responder

log = structlog.get_logger()

TURN_S = 1.0  # one doorbell is answered this long, then canaries get their turn
LINGER_S = 0.1  # after an answer, asks are listened for this long without a doorbell
ALIAS_S = 0.5  # how old an alias may be that an ask is resolved by

_loading = threading.Lock()


@app.task(name=ANSWER_ASKS, ignore_result=True)
def answer() -> None:
    """Answer whatever waits. Batches grow with what came while the one before was worked on."""
    inbox, responder = drain(), _responder()
    limit = runtime.settings().batch_limit
    until = time.monotonic() + TURN_S
    asks = inbox.begin(limit)
    while asks := asks or inbox.claim(limit):
        responder.answer(asks, inbox.send)
        if time.monotonic() > until:
            runtime.doorbell().ring_inbox()
            return
        asks = inbox.read(limit) or inbox.linger(limit, LINGER_S)


@cache
def drain() -> Drain:
    """Return this process's hold on the inbox."""
    return Drain(runtime.redis(), name=runtime.worker_name())


def _responder() -> "Responder":
    """Return what answers; the first call loads torch, which takes seconds."""
    with _loading:
        return _load_responder()


@cache
def _load_responder() -> "Responder":
    use_threads(runtime.settings().inference_threads)
    from core.pipelines.bundle import Models
    from core.pipelines.respond import Responder

    models = Models(_fetch, limit=runtime.settings().models_in_memory)
    return Responder(bundle_of=models.get, resolve=_Aliases().resolve)


def _fetch(checkpoint: str) -> bytes:
    try:
        with runtime.sessions()() as session:
            key = checkpoints.resolve(session, checkpoint).blob_key
    except SQLAlchemyError as error:
        raise UnavailableError("the database cannot be reached") from error
    return runtime.blobs().get(key)


class _Aliases:
    """Turns what people call a model into a checkpoint id, asking the database now and then."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, str]] = {}

    def resolve(self, name: str) -> str:
        """Return the checkpoint id; raises NotFoundError.

        While the database is down the last answer stands; without one, UnavailableError.
        """
        asked_at, checkpoint = self._known.get(name, (float("-inf"), ""))
        if time.monotonic() - asked_at < ALIAS_S:
            return checkpoint
        try:
            with runtime.sessions()() as session:
                checkpoint = str(checkpoints.resolve(session, name).id)
        except SQLAlchemyError as error:
            if not checkpoint:
                raise UnavailableError("the database cannot be reached") from error
            log.warning("answering by an alias as it was", alias=name, error=str(error))
        self._known[name] = (time.monotonic(), checkpoint)
        return checkpoint


@worker_ready.connect
def _warm_up(sender: Any, **_: Any) -> None:
    """Load torch before the first ask needs it, and start to say that this worker lives."""
    if INFERENCE_QUEUE not in {queue.name for queue in sender.task_consumer.queues}:
        return
    threading.Thread(target=_live, name="consumer", daemon=True).start()
    responder = _responder()
    with runtime.sessions()() as session:
        served = [alias.name for alias in aliases.page(session)]
    responder.warm_up(served[: runtime.settings().models_in_memory])
    log.info("ready to answer", aliases=len(served))
    runtime.doorbell().ring_inbox()


def _live() -> None:
    while True:
        try:
            drain().beat()
        except RedisError as error:
            log.warning("cannot say that this worker lives", error=str(error))
        time.sleep(CONSUMER_ALIVE_S / 4)
