"""The Celery application: ``celery -A workers.app worker -Q ...`` and ``... beat``.

Three kinds of process run it, none of which imports torch here: inference workers
(``-Q malgil.inference -P threads -c 1``), job workers (``-Q malgil.jobs,malgil.sweep
-P threads -c 4``: one job at a time, the other threads answer canaries and sweeps) and beat.
"""

from typing import Any

from celery import Celery
from celery.signals import setup_logging

from core.logs import log_as_json
from core.queue.broker import OLD_S, celery_settings
from core.queue.messages import SWEEP, SWEEP_QUEUE
from core.settings import Settings

settings = Settings()


@setup_logging.connect
def _log(**_: Any) -> None:
    """Write logs as the API does; Celery leaves them alone then."""
    log_as_json(settings.log_level)


app = Celery("malgil", include=["workers.inference", "workers.jobs", "workers.canary"])
app.conf.update(celery_settings(settings.redis_url))
app.conf.beat_scheduler = "celery.beat:Scheduler"  # keeps nothing on disk, and so no pickle
app.conf.beat_max_loop_interval = settings.sweep_s
app.conf.beat_schedule = {
    "sweep": {
        "task": SWEEP,
        "schedule": settings.sweep_s,
        "options": {"queue": SWEEP_QUEUE, "expires": OLD_S},
    }
}
