import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis

from core.queue.broker import ALIVE_S
from core.queue.messages import INFERENCE_QUEUE, JOBS_QUEUE, alive_key, heard_key
from workers import canary, runtime

ROOT = Path(__file__).parents[2]
JOB_WORKER = "worker --queues malgil.jobs,malgil.sweep --pool threads --concurrency 4"
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@ONE_DATABASE
def test_a_canary_that_is_heard_proves_its_queue_alive(worker: None, valkey: Redis) -> None:
    canary.heard(JOBS_QUEUE)
    assert valkey.get(alive_key(JOBS_QUEUE)) == runtime.worker_name().encode()
    assert 0 < valkey.ttl(alive_key(JOBS_QUEUE)) <= ALIVE_S
    assert valkey.exists(heard_key(JOBS_QUEUE, socket.gethostname()))
    assert not valkey.exists(alive_key(INFERENCE_QUEUE))


@ONE_DATABASE
def test_a_job_worker_is_heard_of_and_never_loads_torch(
    worker: None, valkey: Redis, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "celery", "--app", "workers.app", *JOB_WORKER.split()]
    with (
        (tmp_path / "worker.log").open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) as process,
    ):
        try:
            deadline = time.monotonic() + 20
            while not valkey.exists(alive_key(JOBS_QUEUE)):
                assert process.poll() is None, (tmp_path / "worker.log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
                time.sleep(0.05)
            assert str(process.pid) in valkey.get(alive_key(JOBS_QUEUE)).decode()
            assert "libtorch" not in maps(process.pid)
        finally:
            process.terminate()
        assert process.wait(timeout=20) == 0


def maps(pid: int) -> str:
    """Return what a process has mapped, where the system tells."""
    path = Path(f"/proc/{pid}/maps")
    return path.read_text() if path.exists() and os.access(path, os.R_OK) else ""
