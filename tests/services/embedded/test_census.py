import os
import subprocess
import sys
import time

from services.embedded.census import Seen, _from_ps, census, look


def test_a_process_is_seen_with_its_group_its_start_and_its_command() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 10
        while not ((seen := look(process.pid)) and seen.command):  # in the middle of its exec
            assert time.monotonic() < deadline
        assert seen in census()
        assert seen.group == os.getpgrp()
        assert "input()" in seen.command


def test_an_ended_process_is_not_seen_even_before_it_is_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        deadline = time.monotonic() + 10
        while look(process.pid) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert all(seen.pid != process.pid for seen in census())


def test_the_start_tells_two_processes_apart() -> None:
    starts = []
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            seen = look(process.pid)
            assert seen is not None
            starts.append(seen.started)
            time.sleep(1.1)  # where there is no /proc, a start is told to the second
    assert starts[0] != starts[1]


def test_ps_says_the_same_where_there_is_no_proc() -> None:
    def same(seen: Seen) -> tuple[int, int, str]:
        return seen.pid, seen.group, seen.command

    me = look(os.getpid())
    assert me is not None
    listed = {seen.pid: seen for seen in _from_ps()}[os.getpid()]
    assert same(listed)[:2] == same(me)[:2]
    assert listed.command.split()[0] == me.command.split()[0]
    assert len(listed.started.split()) == 5
