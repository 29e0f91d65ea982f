"""The inference worker: a doorbell wakes the thread that answers what is in the inbox."""

import gc
import threading
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from core.errors import UnavailableError
from core.pipelines.threads import use_threads
from core.queue.broker import ALIVE_S
from core.queue.drain import Drain
from core.queue.messages import ANSWER_ASKS, INFERENCE_QUEUE
from core.queue.vitals import BEAT_S
from core.storage import aliases, checkpoints
from core.tracing import tracing
from workers import runtime
from workers.answering import Answering
from workers.app import app

if TYPE_CHECKING:
    from core.pipelines.respond import Responder
    from core.pipelines.shelf import Models

log = structlog.get_logger()

ALIAS_S = 0.5  # how old an alias may be that an ask is resolved by
LEAVE_S = 15.0  # how long asks that are being answered may keep a worker that is told to leave

_loading = threading.Lock()


@app.task(name=ANSWER_ASKS, ignore_result=True)
def answer() -> None:
    """Have whatever waits answered; the thread of this message is free at once for others."""
    answering().ring()


def is_well() -> bool:
    """Whether what this process answers is getting on."""
    return answering().is_well(ALIVE_S)


@cache
def answering() -> Answering:
    """Return what answers in this process."""
    return Answering(drain(), _responder, limit=lambda: runtime.settings().batch_limit)


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
    from core.pipelines.respond import Responder

    return Responder(models=_models(), resolve=_Aliases().resolve, clock=drain().clock)


@cache
def _models() -> "Models":
    """Return the models that this process holds."""
    from core.pipelines.shelf import Models

    settings = runtime.settings()
    return Models(
        _fetch,
        limit=settings.models_in_memory,
        limit_bytes=settings.models_mb << 20,
        precision=settings.precision,
    )


def _fetch(checkpoint: str) -> bytes | Path:
    try:
        return checkpoints.content(runtime.sessions(), runtime.blobs(), checkpoint)
    except SQLAlchemyError as error:
        raise UnavailableError("the database cannot be reached") from error


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
    tracing.open("malgil-inference")
    responder = _responder()
    with runtime.sessions()() as session:
        served = [alias.name for alias in aliases.page(session)]
    responder.warm_up(served[: runtime.settings().models_in_memory])
    gc.collect()
    gc.freeze()  # torch brings along much that would be looked through again and again
    threading.Thread(target=_let_go, name="letting go", daemon=True).start()
    log.info("ready to answer", aliases=len(served))
    runtime.doorbell().ring_inbox()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    answering().stop()


@worker_shutdown.connect
def _leave(**_: Any) -> None:
    """Finish what was begun; what comes in meanwhile is for other workers."""
    left = answering().close(LEAVE_S)
    tracing.close()
    if left:
        runtime.doorbell().ring_inbox()


def _live() -> None:
    while True:
        try:
            drain().beat()
            if drain().somebody_died():
                answering().ring()
        except RedisError as error:
            log.warning("cannot say that this worker lives", error=str(error))
        time.sleep(BEAT_S)


def _let_go() -> None:
    """Let go of models that nobody asks for, again and again."""
    idle_s = runtime.settings().models_idle_s
    while True:
        time.sleep(min(idle_s / 4, 60.0))
        if idle := _models().forget_idle(idle_s):
            log.info("models that nobody asks for are let go", checkpoints=idle)
