"""A backup of a real installation that trains meanwhile: wiped, restored, and as it was."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import Tell
from tests.acceptance.installations import MALGIL, home, up
from tests.acceptance.processes import ROOT, wait_until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

SMALL = ("--set", "model.hidden_dim=96", "--set", "model.embedding_dim=64")
OFTEN = ("--set", "train.snapshot_every_s=0.2", "--set", "train.time_limit_s=null")
SAID = "Hello there"


def test_an_installation_that_was_wiped_comes_back_whole(tmp_path: Path, tell: Tell) -> None:
    kept = tmp_path / "kept"
    with home() as folder:
        with up(folder) as before:
            before.run(
                "corpus", "add", str(ROOT / "examples" / "smalltalk.en.csv"), "--name", "talk"
            )
            train = ("train", "talk", "--recipe", "demo", "--no-watch", *SMALL, *OFTEN, "--set")
            first = before.run(*train, "train.max_epochs=4", "--promote-to", "bot")["id"]
            before.run("jobs", "watch", first)
            said = before.run("translate", "bot", SAID)["translations"][0]["text"]
            assert before.run("doctor")["ok"]
            second = before.run(*train, "train.max_epochs=60")["id"]
            wait_until(
                lambda: (before.run("jobs", "show", second)["progress"] or {}).get("step", 0) > 5
            )
            began = time.monotonic()
            copied = before.run("backup", str(kept))
            spent = time.monotonic() - began
            assert before.run("jobs", "cancel", second)["status"] in {"running", "cancelled"}
        shutil.rmtree(folder)
        with home() as elsewhere:
            restore(elsewhere, kept)
            with up(elsewhere) as after:
                assert after.run("translate", "bot", SAID)["translations"][0]["text"] == said
                ended = after.run("jobs", "watch", second)["job"]
                assert (ended["status"], ended["attempt"]) == ("succeeded", 2)
                names = [one["name"] for one in after.run("models", "list")["aliases"]]
    assert names == ["bot"]
    tell(
        f"kept in {spent:.1f} s while a training ran: {copied['blobs']} blobs, "
        f"{copied['blob_bytes'] / 1e6:.1f} MB; wiped, restored: the same reply, and the training "
        f"that was under way ended in attempt {ended['attempt']}"
    )


def restore(into: Path, kept: Path) -> None:
    environment = {**os.environ, "MALGIL_HOME": str(into)}
    subprocess.run([*MALGIL, "restore", str(kept)], env=environment, check=True, timeout=120)
