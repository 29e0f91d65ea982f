import json
import subprocess
from pathlib import Path

import pytest

from services.embedded.census import look
from tests.acceptance.installations import MALGIL

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


def test_the_demo_teaches_a_bot_and_leaves_nothing_behind() -> None:
    ran = subprocess.run(
        [*MALGIL, "demo", "--json"], capture_output=True, text=True, check=False, timeout=850
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    result = next(one for one in told if one["event"] == "demo")
    assert result["exact"] >= 0.9 or result["chrf"] > 80
    assert len(result["answers"]) == 8
    assert all(answer["milliseconds"] < 2000 for answer in result["answers"])
    started = [one for one in told if one["event"] == "started"]
    assert {one["name"] for one in started} >= {"valkey", "inference", "jobs", "beat", "api"}
    assert not any(look(one["pid"]) for one in started)
    home = Path(started[0]["where"].removeprefix("unix://")).parent
    assert home.name.startswith("malgil-")
    assert not home.exists()
