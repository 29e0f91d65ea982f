"""Whether each import rule bites: plant a violation in a copy of the sources, and look."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.processes import BIN, ROOT

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

SOURCES = ("core", "services", "workers", "migrations", "pyproject.toml")
LINT_IMPORTS = BIN / "lint-imports"

STOREYS = "services, workers and migrations stand above core and apart from each other"
DOWNWARDS = "inside core, downwards only"
SETTINGS = "settings are read by process entries only"
LIGHT = "the API, the migrations, storage and queue never reach torch or sentencepiece"
LEARNING = "learning never reaches infrastructure"


@dataclass(frozen=True, slots=True)
class Plant:
    """A violation: ``line`` at the end of ``file``, and the contract that must find it."""

    file: str
    line: str
    contract: str

    @property
    def module(self) -> str:
        """The module that the report must name."""
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


PLANTS = (
    Plant("services/cli/main.py", "import workers.app", STOREYS),
    Plant("services/embedded/children.py", "from workers import runtime", STOREYS),
    Plant("services/api/app.py", "import migrations", STOREYS),
    Plant("workers/jobs.py", "import services.api.app", STOREYS),
    Plant("workers/runtime.py", "from migrations import upgrade", STOREYS),
    Plant("migrations/__init__.py", "import workers.runtime", STOREYS),
    Plant("migrations/env.py", "import services.cli.client", STOREYS),
    Plant("core/storage/jobs.py", "import services.api.schemas.jobs", STOREYS),
    Plant("core/pipelines/train.py", "def f():\n    import workers.runtime", STOREYS),
    Plant("core/helpers.py", '"""Things."""', DOWNWARDS),
    Plant("core/utils/__init__.py", '"""Things."""', DOWNWARDS),
    Plant("core/data/batches.py", "from core.models.build import build", DOWNWARDS),
    Plant("core/specs/base.py", "from core.storage import tables", DOWNWARDS),
    Plant("core/errors.py", "import core.specs", DOWNWARDS),
    Plant("core/recipes/systems.py", "import core.text.clean", DOWNWARDS),
    Plant("core/recipes/recipe.py", "import core.data.materials", DOWNWARDS),
    Plant("core/training/loop.py", "import core.pipelines.learn", DOWNWARDS),
    Plant("core/models/learner.py", "import core.training.team", DOWNWARDS),
    Plant("core/data/sampling.py", "import core.training.lessons", DOWNWARDS),
    Plant("core/metrics/likelihood.py", "import core.models.learner", DOWNWARDS),
    Plant("core/decoding/beam.py", "import core.models.seq2seq", DOWNWARDS),
    Plant("core/queue/inbox.py", "from core.storage import jobs", DOWNWARDS),
    Plant("core/pipelines/train.py", "from core.settings import Settings", SETTINGS),
    Plant("core/queue/broker.py", "def f():\n    from core.settings import Settings", SETTINGS),
    Plant("core/storage/session.py", "import core.settings", SETTINGS),
    Plant("services/api/app.py", "from core.pipelines.shelf import Models", LIGHT),
    Plant("services/api/deps.py", "import core.metrics.text, core.data.batches", LIGHT),
    Plant("services/api/routes/jobs.py", "def f():\n    import sentencepiece", LIGHT),
    Plant("core/storage/blobs.py", "import torch", LIGHT),
    Plant("core/queue/drain.py", "import torch.nn", LIGHT),
    Plant("migrations/__main__.py", "import core.text.tokenizer", LIGHT),
    Plant("core/models/build.py", "import sqlalchemy", LEARNING),
    Plant("core/training/state.py", "from core.storage import snapshots", LEARNING),
    Plant("core/decoding/search.py", "import celery", LEARNING),
    Plant("core/text/clean.py", "from redis import Redis", LEARNING),
    Plant("core/data/readers.py", "import obstore", LEARNING),
    Plant("core/metrics/text.py", "import fastapi", LEARNING),
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources in a place of their own."""
    folder = tmp_path_factory.mktemp("copy")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@contextmanager
def planted(copy: Path, plant: Plant) -> Iterator[None]:
    """Hold the violation in the copy until the block is left."""
    file = copy / plant.file
    before = file.read_text() if file.exists() else None
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{before or ''}\n\n{plant.line}\n")
    try:
        yield
    finally:
        if before is None:
            file.unlink()
            if file.name == "__init__.py":
                shutil.rmtree(file.parent)
        else:
            file.write_text(before)


def check(copy: Path) -> tuple[int, dict[str, str]]:
    """Check the copy; returns the exit code, and what is said of each contract that is broken."""
    ran = subprocess.run(
        [LINT_IMPORTS, "--no-logo", "--no-cache"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    broken = re.findall(r"^(.+) BROKEN$", ran.stdout, flags=re.MULTILINE)
    _, _, reports = ran.stdout.partition("Broken contracts")
    parts = re.split(r"^(.+)\n-+\n", reports, flags=re.MULTILINE)
    return ran.returncode, {
        name: text for name, text in zip(parts[1::2], parts[2::2], strict=True) if name in broken
    }


def test_the_sources_as_they_are_keep_every_contract(copy: Path) -> None:
    code, broken = check(copy)
    assert (code, broken) == (0, {})


def test_every_planted_violation_is_caught_by_its_contract(copy: Path, tell: Tell) -> None:
    table, missed = [], []
    for plant in PLANTS:
        with planted(copy, plant):
            code, broken = check(copy)
        words = f"{plant.file}: {' '.join(plant.line.split())}"
        table.append(f"  {words:<66} -> {'; '.join(broken) or 'NOTHING'}")
        if code == 0 or plant.module not in broken.get(plant.contract, ""):
            missed.append(f"{words}: {plant.contract!r} should have named {plant.module}")
    tell("\n".join(["planted -> caught by", *table]))
    tell(f"{len(PLANTS) - len(missed)} of {len(PLANTS)} violations caught by the right contract")
    assert not missed
    assert check(copy) == (0, {}), "the copy is clean again"
