"""Trainings that are killed with SIGKILL and taken up by another process: not a bit differs."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.learning import CASES, KILLED
from tests.acceptance.processes import ROOT

LIMIT_S = 240

pytestmark = pytest.mark.acceptance


def start(case: str, folder: Path, attempt: str) -> subprocess.Popen[bytes]:
    """Start a training in a session of its own."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.acceptance.learning", case, str(folder), attempt]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / f"{attempt}.log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=log, start_new_session=True
        )


def finish(process: subprocess.Popen[bytes], folder: Path, attempt: str) -> None:
    """Wait for its end, which has to be a good one."""
    status = process.wait(LIMIT_S)
    assert status == 0, (folder / f"{attempt}.log").read_text()[-3000:]


def curve(folder: Path, attempt: str, rank: int = 0) -> list[str]:
    """Return the whole lines of what was told so far."""
    path = folder / f"{attempt}.{rank}.curve"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def told(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.endswith("saved")]


def kill_at(step: int, process: subprocess.Popen[bytes], folder: Path) -> int:
    """Kill the training once it has told of ``step``; return the last step that it told of."""
    deadline = time.monotonic() + LIMIT_S
    while not any(line.startswith(f"{step} ") for line in curve(folder, KILLED)):
        assert process.poll() is None, (folder / f"{KILLED}.log").read_text()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    return max(_step(line) for line in curve(folder, KILLED))


def compare(case: str, scratch: Path, step: int) -> tuple[bool, str]:
    """Return whether a run that is killed gives what one gives that is not, and what was seen."""
    whole, broken = scratch / "whole", scratch / "broken"
    undisturbed, process = start(case, whole, "whole"), start(case, broken, KILLED)
    killed_at = kill_at(step, process, broken)
    saved = [line for line in curve(broken, KILLED) if line.endswith("saved")]
    resumed_at = _step(saved[-1])
    finish(undisturbed, whole, "whole")
    time.sleep(0.5)  # what a dead rank 0 leaves of a team ends by itself
    finish(start(case, broken, "resumed"), broken, "resumed")

    expected = told(curve(whole, "whole"))
    before, after = told(curve(broken, KILLED)), told(curve(broken, "resumed"))
    rest = [line for line in expected if line.startswith("end") or _step(line) > resumed_at]
    same = before == expected[: len(before)] and after == rest
    for rank in range(1, CASES[case].processes):
        same = same and told(curve(broken, "resumed", rank))[-1] == expected[-1]
    seen = f"killed at {killed_at:3}, resumed at {resumed_at:3}, {len(after) - 1:3} losses after"
    return same and len(after) > 10, seen


def _step(line: str) -> int:
    return int(line.split(maxsplit=1)[0])


def test_six_architectures_and_every_way_to_learn_survive_a_kill(
    tmp_path: Path, tell: Tell
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    choose = random.Random(seed)
    tell(f"killed at random steps, seed {seed}")
    equal = 0
    for number, case in enumerate(CASES):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        same, seen = compare(case, scratch, choose.choice(CASES[case].killed))
        equal += same
        tell(f"{case:38} {seen}: {'equal bit for bit' if same else 'DIFFERENT'}")
    tell(f"equal {equal} / {len(CASES)}")
    assert equal == len(CASES)
