import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.embedded import state
from services.embedded.census import Seen, look

SLEEP = "# services\nimport time\ntime.sleep(60)"
STUBBORN = f"import signal\nsignal.signal(15, signal.SIG_IGN)\nprint(flush=True)\n{SLEEP}"
PARENT = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
print(flush=True)
"""


@pytest.fixture
def running() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, alone in its session, as a dead supervisor would leave it."""
    with subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True) as process:
        yield process
        process.kill()


def recorded(process: subprocess.Popen[bytes]) -> state.Record:
    found = state.record("worker", process.pid, tier=2)
    assert found is not None
    return found


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    records = [state.Record("api", 4711, "yesterday", 3), state.Record("jobs", 4712, "today", 2)]
    state.write(tmp_path, records)
    assert state.read(tmp_path) == records
    state.forget(tmp_path)
    assert state.read(tmp_path) == []


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"name": "api"}]', "null"])
def test_a_damaged_note_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / state.STATE_FILE).write_text(text)
    assert state.read(tmp_path) == []


def test_an_orphan_is_ended(running: subprocess.Popen[bytes]) -> None:
    record = recorded(running)
    assert state.end([record]) == [record]
    assert running.wait(5) == -15
    assert state.remains([record]) == []


def test_a_process_that_took_over_the_id_is_left_alone(running: subprocess.Popen[bytes]) -> None:
    elsewhen = replace(recorded(running), started="at another time")
    assert state.end([elsewhen]) == []
    assert running.poll() is None


def test_a_process_with_a_foreign_command_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        deadline = time.monotonic() + 10
        while not ((seen := look(process.pid)) and seen.command):  # in the middle of its exec
            assert time.monotonic() < deadline
        assert state.end([recorded(process)]) == []
        assert process.poll() is None
        process.kill()


def test_one_that_does_not_listen_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], start_new_session=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        state.end([recorded(process)], grace_s=0.3)
        assert process.wait(5) == -9


def test_children_of_a_dead_orphan_are_found_through_its_group() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], start_new_session=True, stdout=subprocess.PIPE
    ) as process:
        record = recorded(process)
        assert process.stdout is not None
        process.stdout.readline()
        process.wait(10)
        assert state.end([record]) == [record]
        deadline = time.monotonic() + 5
        while state.remains([record]):
            assert time.monotonic() < deadline


def test_a_group_whose_leader_is_another_is_left_alone() -> None:
    record = state.Record("jobs", 100, "then", 2)
    leader = Seen(100, 100, "now", "python -m celery")
    member = Seen(101, 100, "now", "python -m workers.child")
    assert state.remains([record], among=[leader, member]) == []
    assert state.remains([record], among=[member]) == [record]
    assert state.remains([record], among=[replace(leader, started="then")]) == [record]
    assert state.remains([record], among=[replace(member, group=99)]) == []
    assert state.remains([record], among=[replace(leader, started="then", command="")]) == [record]
    assert state.remains([record], among=[replace(leader, started="then", command="vi")]) == []


def test_nobody_to_signal_is_fine() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], start_new_session=True) as process:
        process.wait(10)
    state.signal_group(process.pid, state.signal.SIGTERM)
    assert state.record("gone", process.pid, tier=0) is None
    assert state.record("me", os.getpid(), tier=0) is not None
