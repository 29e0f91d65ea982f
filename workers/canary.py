"""Proof that a queue is consumed: a message that was sent through it and heard.

A process that is there but deaf does not count as alive; one that heard its canary does.
"""

import socket
import threading
from typing import Any

import structlog
from celery.signals import worker_ready, worker_shutting_down

from core.queue.broker import ALIVE_S, CANARY_EVERY_S, HEARD_S, canary_options
from core.queue.messages import CANARY, INFERENCE_QUEUE, JOBS_QUEUE, alive_key, heard_key
from workers import inference, runtime
from workers.app import app

log = structlog.get_logger()

_over = threading.Event()


@app.task(name=CANARY, ignore_result=True)
def heard(queue: str) -> None:
    """Note that ``queue`` is consumed, and by whom; one whose work stands still does not count."""
    if queue == INFERENCE_QUEUE and not inference.is_well():
        log.warning("a canary was heard where nothing is answered any more")
        return
    name = runtime.worker_name()
    runtime.redis().set(alive_key(queue), name, ex=int(ALIVE_S))
    runtime.redis().set(heard_key(queue, socket.gethostname()), name, ex=int(HEARD_S))


@worker_ready.connect
def _start(sender: Any, **_: Any) -> None:
    """Begin to send canaries to the queues that this worker consumes."""
    queues = set(sender.task_consumer.queues and [q.name for q in sender.task_consumer.queues])
    for queue in sorted(queues & {INFERENCE_QUEUE, JOBS_QUEUE}):
        threading.Thread(target=_send, args=(queue,), name="canary", daemon=True).start()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    _over.set()


def _send(queue: str) -> None:
    while not _over.is_set():
        try:
            app.send_task(**canary_options(queue), retry=False)
        except Exception as error:  # whatever the broker suffers from, the next one may get through
            log.warning("a canary could not be sent", queue=queue, error=str(error))
        _over.wait(CANARY_EVERY_S)
