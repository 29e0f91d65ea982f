"""Real teams of real processes, for tests."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
LIMIT_S = 60


def run(works: str, processes: int, folder: Path, *, silence_s: float = 600) -> dict[int, Any]:
    """Return what each member found, by rank: for each work, or the sentence of its error."""
    command = [sys.executable, "-m", "tests.core.training.member"]
    command += [works, str(processes), str(silence_s), str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=env, timeout=LIMIT_S, check=False)
    return found_in(folder)


def found_in(folder: Path) -> dict[int, Any]:
    """Return what members have left so far."""
    return {int(path.stem): json.loads(path.read_text()) for path in folder.glob("*.json")}
