import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.installations import Installation, home, up
from tests.acceptance.processes import wait_until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def malgil_home() -> Iterator[Path]:
    with home() as folder:
        yield folder


def queue_training(installation: Installation, *, epochs: int) -> str:
    installation.run("corpus", "add", str(EXAMPLES / "smalltalk.en.csv"), "--name", "talk")
    words = ("train", "talk", "--recipe", "demo", "--no-watch", "--promote-to", "bot")
    more = ("--set", f"train.max_epochs={epochs}", "--set", "train.snapshot_every_s=0.5")
    return str(installation.run(*words, *more)["id"])


def test_everything_comes_up_and_ends_without_a_trace(malgil_home: Path) -> None:
    with up(malgil_home) as installation:
        assert installation.ready()
        names = {"valkey", "migrations", "inference", "jobs", "beat", "api"}
        assert set(installation.pids) == names


def test_whoever_is_killed_comes_back(malgil_home: Path) -> None:
    with up(malgil_home) as installation:
        for name in ("api", "beat", "inference", "jobs", "valkey"):
            os.kill(installation.pids[name], signal.SIGKILL)
            installation.hear("died")
            installation.hear("started")
        wait_until(installation.ready)


def test_a_training_outlives_its_supervisor(malgil_home: Path) -> None:
    with up(malgil_home) as installation:
        job = queue_training(installation, epochs=12)
        wait_until(
            lambda: (installation.run("jobs", "show", job)["progress"] or {}).get("step", 0) > 5
        )
        os.kill(installation.process.pid, signal.SIGKILL)
        installation.process.wait()
    with up(malgil_home) as installation:
        ended = installation.run("jobs", "watch", job)
        assert ended["job"]["status"] == "succeeded"
        assert ended["job"]["attempt"] == 2
        assert installation.run("translate", "bot", "Hello")["translations"][0]["text"]


def test_a_job_that_runs_is_cancelled_between_two_steps(malgil_home: Path) -> None:
    with up(malgil_home) as installation:
        job = queue_training(installation, epochs=1000)
        wait_until(
            lambda: (installation.run("jobs", "show", job)["progress"] or {}).get("step", 0) > 5
        )
        installation.run("jobs", "cancel", job)
        wait_until(lambda: installation.run("jobs", "show", job)["status"] == "cancelled")
