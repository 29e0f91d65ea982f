import shutil
from pathlib import Path

import pytest

from tests.services.cli.conftest import Malgil


@pytest.fixture
def home(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with an empty database, which the environment names."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(sqlite_template, home / "malgil.db")
    monkeypatch.setenv("MALGIL_HOME", str(home))
    return home


def test_a_copy_is_made_and_brought_back(malgil: Malgil, home: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    ran = malgil("backup", kept)
    assert ran.code == 0
    assert ran.out.startswith(f"Kept {kept}: database ")
    assert malgil("backup", kept, "--json").data["blobs"] == 0
    refused = malgil("restore", kept)
    assert refused.code == 1
    assert "is there already" in refused.err
    shutil.rmtree(home)
    assert malgil("restore", kept, "--json").data["folder"] == str(home)
    assert (home / "malgil.db").is_file()


def test_what_is_no_copy_is_2(malgil: Malgil, home: Path, tmp_path: Path) -> None:
    ran = malgil("restore", tmp_path)
    assert ran.code == 2
    assert "holds no backup" in ran.err
