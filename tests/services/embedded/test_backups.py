import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.errors import BundleError, ConflictError, InputError, NotFoundError
from core.settings import Settings
from core.storage import checkpoints
from core.storage.blobs import Blobs
from core.storage.session import open_engine, open_sessions
from services.embedded.backups import back_up, restore
from services.embedded.claims import held
from tests.core.storage.rows import make_checkpoint


@pytest.fixture
def settings(tmp_path: Path, sqlite_template: Path) -> Settings:
    """A home with an empty database."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(sqlite_template, home / "malgil.db")
    return Settings(home=home)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def opened(settings: Settings) -> tuple[sessionmaker[Session], Blobs]:
    return open_sessions(open_engine(settings.database_url)), Blobs.open(settings.blobs_url)


def learn(settings: Settings, data: bytes) -> UUID:
    """Leave what a training leaves: a blob, and the row that names it."""
    sessions, blobs = opened(settings)
    with sessions.begin() as session:
        return make_checkpoint(session, blob_key=blobs.put(data)).id


def recall(settings: Settings, checkpoint: UUID) -> bytes:
    sessions, blobs = opened(settings)
    with sessions() as session:
        return blobs.get(checkpoints.get(session, checkpoint).blob_key)


def test_what_was_kept_comes_back_in_another_home(
    settings: Settings, kept: Path, tmp_path: Path
) -> None:
    checkpoint = learn(settings, b"weights")
    copied = back_up(settings, kept)
    assert (copied.blobs, copied.new_blobs, copied.blob_bytes) == (1, 1, len(b"weights"))
    shutil.rmtree(settings.home)
    elsewhere = Settings(home=tmp_path / "elsewhere")
    assert restore(elsewhere, kept).blobs == 1
    assert recall(elsewhere, checkpoint) == b"weights"


def test_what_is_written_but_not_yet_settled_is_kept_too(
    settings: Settings, kept: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(settings.home / "malgil.db")) as reader:
        reader.execute("PRAGMA journal_mode = WAL")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM checkpoints").fetchone()  # holds the log open
        checkpoint = learn(settings, b"weights")
        back_up(settings, kept)
    elsewhere = Settings(home=tmp_path / "elsewhere")
    restore(elsewhere, kept)
    assert recall(elsewhere, checkpoint) == b"weights"
    assert sorted(path.name for path in kept.iterdir()) == ["blobs", "malgil.db"]


def test_again_it_copies_what_is_new_and_forgets_what_is_gone(
    settings: Settings, kept: Path
) -> None:
    learn(settings, b"first")
    back_up(settings, kept)
    stray = Blobs.open(f"file://{kept / 'blobs'}").put(b"nobody refers to this")
    learn(settings, b"second")
    copied = back_up(settings, kept)
    assert (copied.blobs, copied.new_blobs) == (2, 1)
    assert not Blobs.open(f"file://{kept / 'blobs'}").exists(stray)


def test_a_copy_that_cannot_be_whole_leaves_the_one_before(settings: Settings, kept: Path) -> None:
    checkpoint = learn(settings, b"first")
    back_up(settings, kept)
    learn(settings, b"second")
    _, blobs = opened(settings)
    blobs.delete(blobs.put(b"second"))
    with pytest.raises(NotFoundError, match="no blob"):
        back_up(settings, kept)
    shutil.rmtree(settings.home)
    restore(settings, kept)
    assert recall(settings, checkpoint) == b"first"


def test_a_damaged_copy_is_refused_and_leaves_no_database(settings: Settings, kept: Path) -> None:
    learn(settings, b"weights")
    back_up(settings, kept)
    shutil.rmtree(settings.home)
    (blob,) = (kept / "blobs").glob("??/*")
    blob.write_bytes(b"weighty")
    with pytest.raises(BundleError, match="damaged"):
        restore(settings, kept)
    assert not (settings.home / "malgil.db").exists()


def test_a_damaged_database_is_refused(settings: Settings, kept: Path) -> None:
    learn(settings, b"weights")
    back_up(settings, kept)
    shutil.rmtree(settings.home)
    whole = (kept / "malgil.db").read_bytes()
    (kept / "malgil.db").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        restore(settings, kept)
    assert not (settings.home / "malgil.db").exists()


@pytest.mark.parametrize("left", ["malgil.db", "malgil.db-wal"])
def test_nothing_is_restored_over_what_is_there(settings: Settings, kept: Path, left: str) -> None:
    back_up(settings, kept)
    shutil.rmtree(settings.home)
    settings.home.mkdir()
    (settings.home / left).write_bytes(b"of an earlier life")
    with pytest.raises(ConflictError, match=f"{left} is there already"):
        restore(settings, kept)
    assert (settings.home / left).read_bytes() == b"of an earlier life"


def test_nothing_is_restored_under_a_running_installation(settings: Settings, kept: Path) -> None:
    back_up(settings, kept)
    (settings.home / "malgil.db").unlink()
    with held(settings.home), pytest.raises(ConflictError, match="already runs"):
        restore(settings, kept)


def test_what_is_no_backup_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no backup"):
        restore(settings, tmp_path)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"database_url": "postgresql://db/malgil"}, "MALGIL_DATABASE_URL"),
        ({"blobs_url": "s3://bucket/blobs"}, "MALGIL_BLOBS_URL"),
    ],
)
def test_what_other_servers_keep_is_left_to_their_tools(
    kept: Path, tmp_path: Path, given: dict[str, str], field: str
) -> None:
    with pytest.raises(InputError) as caught:
        back_up(Settings(home=tmp_path, **given), kept)
    assert caught.value.field == field
    assert not kept.exists()
