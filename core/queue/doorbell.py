"""Ringing: wake a worker up. What there is to do stands in the database or in the inbox."""

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from core.queue.broker import celery_settings
from core.queue.messages import ANSWER_ASKS, INFERENCE_QUEUE, JOBS_QUEUE, RUN_JOB

log = structlog.get_logger()


class Doorbell:
    """Sends the messages that wake workers; a broker that is down is no reason to fail.

    The row or the ask is written before anybody rings, so a ring that is lost only costs
    time: the sweep rings again.
    """

    def __init__(self, redis_url: str) -> None:
        self._app = Celery("malgil-doorbell", set_as_current=False)
        self._app.conf.update(celery_settings(redis_url))

    def ring_jobs(self) -> None:
        """Say that a job may be waiting."""
        self._ring(RUN_JOB, JOBS_QUEUE)

    def ring_inbox(self) -> None:
        """Say that asks may be waiting."""
        self._ring(ANSWER_ASKS, INFERENCE_QUEUE)

    def close(self) -> None:
        """Give the connections back."""
        self._app.close()

    def _ring(self, task: str, queue: str) -> None:
        try:
            # No exchange, straight to the queue: it saves a look into a routing table.
            self._app.send_task(
                task, exchange="", routing_key=queue, retry=False, ignore_result=True
            )
        except (OperationalError, RedisError, OSError) as error:
            log.warning("a doorbell was not heard", task=task, error=str(error))
