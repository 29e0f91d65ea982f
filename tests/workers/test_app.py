import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOOK = """
import json, sys
from workers.app import app
app.loader.import_default_modules()
app.finalize()
heavy = sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "sentencepiece"})
print(json.dumps({"heavy": heavy, "tasks": sorted(app.tasks), "broker": app.conf.broker_url,
                  "beat": app.conf.beat_schedule["sweep"]["schedule"]}))
"""


def look(**environment: str) -> dict:
    """Import everything that a worker imports, in a process of its own, and tell what is there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALGIL_")}
    ran = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={**kept, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def test_a_worker_imports_all_its_tasks_but_neither_torch_nor_sentencepiece(tmp_path: Path) -> None:
    told = look(MALGIL_HOME=str(tmp_path))
    ours = [name for name in told["tasks"] if name.startswith("malgil")]
    assert ours == ["malgil.canary", "malgil.inference.answer", "malgil.jobs.run", "malgil.sweep"]
    assert told["heavy"] == []
    assert list(tmp_path.iterdir()) == [], "an import writes nothing"


def test_the_environment_says_where_the_broker_is_and_how_often_to_sweep() -> None:
    told = look(MALGIL_REDIS_URL="redis://:secret@queue.example:6380/2", MALGIL_SWEEP_S="7.5")
    assert told["broker"] == "redis://:secret@queue.example:6380/2"
    assert told["beat"] == 7.5
