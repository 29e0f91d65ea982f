import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import UnavailableError
from core.pipelines.parallel import team_of
from core.training.team import ALONE
from tests.core.training.teams import LIMIT_S, ROOT, found_in, run


def test_one_process_is_a_team_of_its_own_and_starts_nothing() -> None:
    with team_of(1, ["/nowhere"]) as team:
        assert team is ALONE


def test_a_process_that_ends_before_it_began_is_named() -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)"]

    with (
        pytest.raises(UnavailableError, match=r"Process 2 of 2 .* status 3"),
        team_of(2, command) as _,
    ):
        pass


def test_nobody_to_join_is_an_error_in_time() -> None:
    alone = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "9"}

    with (
        pytest.raises(UnavailableError, match=r"nobody to train with at 127\.0\.0\.1:9"),
        team_of(1, [], environment=alone, gathering_s=1) as _,
    ):
        pass


def test_who_waits_to_be_met_ends_with_the_one_that_started_it() -> None:
    waiting = "from core.pipelines.parallel import team_of\nwith team_of(1, []): pass"
    starting = (
        "import os, subprocess, sys\n"
        "told = {**os.environ, 'MALGIL_TEAM_PARENT': str(os.getpid())}\n"
        f"subprocess.Popen([sys.executable, '-c', {waiting!r}], env=told)"
    )
    nobody = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "9"}

    subprocess.run(  # its output ends when the last one that could write has ended
        [sys.executable, "-c", starting],
        cwd=ROOT,
        env={**os.environ, **nobody},
        capture_output=True,
        timeout=60,  # waiting for others would take twice as long
        check=True,
    )


def test_the_others_end_when_the_one_that_started_them_is_killed(tmp_path: Path) -> None:
    run("fall", 2, tmp_path)

    for _ in range(LIMIT_S * 10):
        if found_in(tmp_path):
            break
        time.sleep(0.1)
    assert "has lost the others" in found_in(tmp_path)[1]
