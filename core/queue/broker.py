"""How Celery uses Redis here; API and workers share these settings.

Messages are doorbells: losing one costs a sweep interval, hearing one twice costs nothing.
"""

from typing import Any

from redis import Redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis

from core.queue.messages import (
    ANSWER_ASKS,
    CANARY,
    INFERENCE_QUEUE,
    JOBS_QUEUE,
    RUN_JOB,
    SWEEP,
    SWEEP_QUEUE,
)

ASYNC_CONNECTIONS = 50  # of one event loop
OLD_S = 3600.0  # messages older than this are thrown away; clocks may be that far apart


def broker_url(redis_url: str) -> str:
    """Return ``redis_url`` as Celery spells it: ``unix://`` becomes ``redis+socket://``."""
    if redis_url.startswith("unix://"):
        return redis_url.replace("unix://", "redis+socket://", 1)
    return redis_url


def celery_settings(redis_url: str) -> dict[str, Any]:
    """Return what to put into a Celery app's configuration."""
    return {
        "broker_url": broker_url(redis_url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # a worker outlives any outage of its broker
        "broker_pool_limit": 4,
        "broker_transport_options": {
            "global_keyprefix": "malgil:celery:",
            "visibility_timeout": 60,  # of doorbells, not of jobs: those have leases
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            "socket_timeout": 30,
            "socket_connect_timeout": 3,
            "socket_keepalive": not redis_url.startswith("unix://"),
            "health_check_interval": 10,
        },
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_ignore_result": True,
        "task_create_missing_queues": True,
        "task_routes": {
            RUN_JOB: {"queue": JOBS_QUEUE},
            SWEEP: {"queue": SWEEP_QUEUE},
            ANSWER_ASKS: {"queue": INFERENCE_QUEUE},
        },
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "event_queue_expires": 60,
    }


def open_redis(url: str) -> Redis:
    """Prepare connections to ``url`` for a thread that may wait."""
    return Redis.from_url(url, protocol=2, socket_connect_timeout=3, health_check_interval=10)


def open_async_redis(url: str) -> AsyncRedis:
    """Prepare connections to ``url`` for an event loop.

    Many asks at once take turns on them; a plain pool would refuse all beyond its size.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=ASYNC_CONNECTIONS,
        timeout=5,
        protocol=2,
        socket_connect_timeout=3,
        health_check_interval=10,
    )
    return AsyncRedis.from_pool(pool)


def seconds(told: tuple[int, int]) -> float:
    """Return as Unix seconds what Redis tells when it is asked for its TIME."""
    whole, microseconds = told
    return whole + microseconds / 1e6


CANARY_EVERY_S = 5.0
ALIVE_S = 15.0  # how long a canary that was consumed proves a queue alive
HEARD_S = 60.0  # the same for one host: several share the canaries, and some get few


def canary_options(queue: str) -> dict[str, Any]:
    """Return the options that send a canary to ``queue``; old ones are thrown away unheard."""
    return {"name": CANARY, "args": (queue,), "queue": queue, "expires": OLD_S}
