import os
import subprocess
import sys

from workers import runtime

NAME = "from workers import runtime; print(runtime.worker_name())"


def test_a_worker_keeps_its_name_and_no_other_process_gets_it() -> None:
    name = runtime.worker_name()
    assert runtime.worker_name() == name
    others = {
        subprocess.run([sys.executable, "-c", NAME], capture_output=True, text=True, check=True)
        .stdout.strip()
        .rpartition("-")[2]
        for _ in range(2)
    }
    assert str(os.getpid()) in name
    assert len(others | {name.rpartition("-")[2]}) == 3
