import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest

from core.errors import ConflictError
from services.embedded import state
from services.embedded.census import look
from services.embedded.children import SCHEMA, unready
from services.embedded.claims import with_port
from services.embedded.supervisor import Pace, StartError, Supervisor, embedded, end_orphans
from tests.services.embedded.households import Heard, answering, child, settings, sleeper

QUICKLY = Pace(first_wait_s=0.1, longest_wait_s=0.4, ready_s=10.0, poll_s=0.02)
LEFT_ALONE = """
import os, pathlib, signal, sys
from services.embedded.supervisor import embedded
from tests.services.embedded.households import settings, sleeper
tell = lambda notice: print(notice.pid, flush=True)
with embedded(settings(pathlib.Path(sys.argv[1])), tell=tell, table=[sleeper("a"), sleeper("b")]):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def wait_until(true: Callable[[], object], *, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


@contextmanager
def supervised(supervisor: Supervisor) -> Iterator[None]:
    try:
        supervisor.start()
        yield
    finally:
        supervisor.stop()


def test_an_installation_comes_up_and_goes_without_a_trace(tmp_path: Path) -> None:
    heard = Heard()
    with embedded(settings(tmp_path), tell=heard, table=[sleeper(), answering()]) as url:
        assert url.startswith("http://127.0.0.1:")
        pids = [heard.pid("sleeper"), heard.pid("api")]
        assert all(look(pid) for pid in pids)
        assert [record.pid for record in state.read(tmp_path)] == pids
    assert not any(look(pid) for pid in pids)
    assert not (tmp_path / state.STATE_FILE).exists()
    assert heard.names("ended") == ["api", "sleeper"]


def test_the_face_ends_before_the_workers_and_starts_after_them(tmp_path: Path) -> None:
    heard = Heard()
    with embedded(settings(tmp_path), tell=heard, table=[answering(), sleeper()]):
        assert heard.names("started") == ["sleeper", "api"]
    assert heard.names("ended") == ["api", "sleeper"]


def test_it_waits_until_the_api_says_ready(tmp_path: Path) -> None:
    chosen = with_port(settings(tmp_path))
    table = [answering(lacking=partial(unready, chosen))]
    with supervised(Supervisor(chosen, table, pace=QUICKLY)):
        connection = HTTPConnection("127.0.0.1", chosen.port, timeout=5)
        connection.request("GET", "/ready")
        assert connection.getresponse().status == 200
        connection.close()


def test_what_never_gets_ready_is_an_error_that_says_why_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    heard = Heard()
    table = [sleeper(lacking=lambda: "its heart is not in it")]
    pace = Pace(ready_s=0.2, poll_s=0.02)
    with (
        pytest.raises(StartError, match=r"sleeper is not ready .* its heart is not in it"),
        supervised(Supervisor(settings(tmp_path), table, tell=heard, pace=pace)),
    ):
        pass
    assert look(heard.pid("sleeper")) is None


def test_a_first_step_that_fails_stops_the_start_and_shows_its_log(tmp_path: Path) -> None:
    heard = Heard()
    once = child("migrations", "raise SystemExit('no such table')", tier=SCHEMA, once=True)
    with (
        pytest.raises(StartError, match="migrations failed: ended with exit code 1") as caught,
        supervised(Supervisor(settings(tmp_path), [once, sleeper()], tell=heard, pace=QUICKLY)),
    ):
        pass
    assert "no such table" in caught.value.tail
    assert heard.names("started") == ["migrations"]


def test_a_first_step_that_ends_well_lets_the_others_start(tmp_path: Path) -> None:
    heard = Heard()
    once = child("migrations", "", tier=SCHEMA, once=True)
    with supervised(Supervisor(settings(tmp_path), [once, sleeper()], tell=heard, pace=QUICKLY)):
        assert heard.names("started") == ["migrations", "sleeper"]
    assert heard.names("died") == []


def test_a_command_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    missing = sleeper()
    object.__setattr__(missing, "command", (str(tmp_path / "nothing"),))
    with (
        pytest.raises(StartError, match="sleeper cannot be started"),
        supervised(Supervisor(settings(tmp_path), [missing], pace=QUICKLY)),
    ):
        pass


def test_a_child_that_keeps_dying_while_starting_is_given_up(tmp_path: Path) -> None:
    broken = child("jobs", "raise SystemExit('cannot')", lacking=lambda: "it never is")
    with (
        pytest.raises(StartError, match="jobs died 3 times") as caught,
        supervised(Supervisor(settings(tmp_path), [broken], pace=QUICKLY)),
    ):
        pass
    assert "cannot" in caught.value.tail


def test_a_killed_child_is_started_again_and_its_end_is_told(tmp_path: Path) -> None:
    heard = Heard()
    words = "print('last words', flush=True)\nimport time\ntime.sleep(60)"
    table = [child("jobs", words)]
    with supervised(Supervisor(settings(tmp_path), table, tell=heard, pace=QUICKLY)):
        first = heard.pid("jobs")
        log = tmp_path / "logs" / "jobs.log"
        wait_until(lambda: "last words" in log.read_text())
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: heard.pid("jobs") != first)
        wait_until(lambda: [one.pid for one in state.read(tmp_path)] == [heard.pid("jobs")])
    died = next(notice for notice in heard.notices if notice.kind == "died")
    assert died.text.startswith("ended by signal 9")
    assert "last words" in died.tail


def test_the_pause_before_a_restart_doubles_up_to_a_limit(tmp_path: Path) -> None:
    heard = Heard()
    pace = Pace(first_wait_s=0.02, longest_wait_s=0.08, poll_s=0.005)
    supervisor = Supervisor(settings(tmp_path), [child("jobs", "")], tell=heard, pace=pace)
    with supervised(supervisor):
        wait_until(lambda: len(heard.names("died")) >= 5)
    waits = [process.deaths for process in supervisor._processes]
    assert waits[0] >= 5
    assert supervisor._put_off(supervisor._processes[0]) == 0.08


def test_a_long_life_makes_earlier_deaths_forgotten(tmp_path: Path) -> None:
    supervisor = Supervisor(settings(tmp_path), [sleeper()], pace=Pace(settled_s=0.0))
    with supervised(supervisor):
        assert [supervisor._put_off(supervisor._processes[0]) for _ in range(3)] == [1.0, 1.0, 1.0]
        supervisor._processes[0].restart_at = None


def test_what_a_dead_child_left_in_its_group_goes_with_it(tmp_path: Path) -> None:
    heard = Heard()
    script = """
        import subprocess, sys, time
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        print(subprocess.Popen(command).pid, flush=True)
        time.sleep(60)
    """
    log = tmp_path / "logs" / "jobs.log"
    with supervised(
        Supervisor(settings(tmp_path), [child("jobs", script)], tell=heard, pace=QUICKLY)
    ):
        wait_until(lambda: log.read_text().endswith("\n"))
        grandchild = int(log.read_text())
        os.kill(heard.pid("jobs"), signal.SIGKILL)
        wait_until(lambda: look(grandchild) is None)


def test_a_child_that_does_not_end_is_killed_after_its_grace(tmp_path: Path) -> None:
    heard = Heard()
    script = (
        "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint(flush=True)\ntime.sleep(60)"
    )
    stubborn = child("jobs", script, grace_s=0.2)
    with supervised(Supervisor(settings(tmp_path), [stubborn], tell=heard, pace=QUICKLY)):
        wait_until(lambda: (tmp_path / "logs" / "jobs.log").stat().st_size)
    assert heard.names("killed") == ["jobs"]
    assert look(heard.pid("jobs")) is None


def test_logs_of_the_last_times_are_kept_aside(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "once.log"
    for number in range(6):
        once = child("once", f"print({number})", once=True)
        with supervised(Supervisor(settings(tmp_path), [once], pace=QUICKLY)):
            assert log.read_text() == f"{number}\n"
    kept = {path.name: path.read_text() for path in log.parent.iterdir()}
    assert kept == {
        "once.log": "5\n",
        "once.log.1": "4\n",
        "once.log.2": "3\n",
        "once.log.3": "2\n",
    }


def test_what_children_put_aside_lies_in_the_home_and_is_gone_at_the_next_start(
    tmp_path: Path,
) -> None:
    scratch = tmp_path / "tmp"
    once = child("once", "import tempfile\ntempfile.mkdtemp()", once=True)
    with supervised(Supervisor(settings(tmp_path), [once], pace=QUICKLY)):
        assert len(list(scratch.iterdir())) == 1
    with supervised(Supervisor(settings(tmp_path), [], pace=QUICKLY)):
        assert list(scratch.iterdir()) == []


def test_a_second_supervisor_of_the_same_home_is_refused(tmp_path: Path) -> None:
    with (
        embedded(settings(tmp_path), table=[sleeper()]),
        subprocess.Popen(
            [sys.executable, "-c", LEFT_ALONE, str(tmp_path)], stderr=subprocess.PIPE
        ) as second,
    ):
        _, said = second.communicate(timeout=20)
        assert second.returncode == 1
        assert b"already runs" in said


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    heard = Heard()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        chosen = settings(tmp_path, port=taken.getsockname()[1])
        with (
            pytest.raises(ConflictError, match=f"Port {chosen.port}"),
            embedded(chosen, tell=heard, table=[sleeper()]),
        ):
            pass
    assert heard.notices == []


def test_children_of_a_killed_supervisor_are_ended_by_its_warden(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", LEFT_ALONE, str(tmp_path)],
        stdout=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    assert killed.returncode == -9
    pids = [int(line) for line in killed.stdout.split()]
    assert len(pids) == 2
    wait_until(lambda: not any(look(pid) for pid in pids))


def test_the_next_start_ends_what_even_the_warden_left(tmp_path: Path) -> None:
    heard = Heard()
    with subprocess.Popen(
        [sys.executable, "-c", "# services\nimport time\ntime.sleep(60)"], start_new_session=True
    ) as orphan:
        record = state.record("jobs", orphan.pid, tier=2)
        assert record is not None
        state.write(tmp_path, [record])
        end_orphans(settings(tmp_path), heard)
        assert orphan.wait(5) == -15
    assert heard.names("orphan") == ["jobs"]
    assert state.read(tmp_path) == []


def test_a_new_warden_is_hired_when_the_old_one_is_killed(tmp_path: Path) -> None:
    heard = Heard()
    supervisor = Supervisor(settings(tmp_path), [sleeper()], tell=heard, pace=QUICKLY)
    with supervised(supervisor):
        before = supervisor._ledger.warden_pid
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: look(before) is None)
        os.kill(heard.pid("sleeper"), signal.SIGKILL)
        wait_until(lambda: heard.names("started").count("sleeper") == 2)
        assert supervisor._ledger.warden_pid != before
    assert look(supervisor._ledger.warden_pid) is None
