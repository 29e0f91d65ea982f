from celery import Celery

from core.queue.broker import broker_url, celery_settings
from core.queue.doorbell import Doorbell
from core.queue.messages import ANSWER_ASKS, INFERENCE_QUEUE, JOBS_QUEUE, RUN_JOB


def test_a_socket_is_spelled_as_celery_spells_it() -> None:
    assert broker_url("unix:///run/v.sock") == "redis+socket:///run/v.sock"
    assert broker_url("redis://host:6379/0") == "redis://host:6379/0"


def test_a_ring_is_heard_on_the_queue_of_its_kind(valkey_url) -> None:
    bell = Doorbell(valkey_url)
    bell.ring_jobs()
    bell.ring_inbox()
    bell.close()
    app = Celery(set_as_current=False)
    app.conf.update(celery_settings(valkey_url))
    with app.connection_for_read() as connection:
        for queue, task in ((JOBS_QUEUE, RUN_JOB), (INFERENCE_QUEUE, ANSWER_ASKS)):
            message = connection.SimpleQueue(queue).get(timeout=5)
            assert message.headers["task"] == task
            message.ack()
    app.close()


def test_a_broker_that_is_down_is_no_reason_to_fail(tmp_path) -> None:
    bell = Doorbell(f"unix://{tmp_path / 'nobody.sock'}")
    bell.ring_jobs()
    bell.close()
