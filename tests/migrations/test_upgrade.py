import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from core.storage.session import open_engine, open_sessions
from core.storage.tables import Base
from migrations import check, configure, upgrade
from tests.core.storage.rows import make_corpus, make_running

BEHIND = "It is at version none; the code needs "


@contextmanager
def started(*arguments: str, database_url: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "migrations", *arguments],
        cwd=folder,
        env={"MALGIL_DATABASE_URL": database_url, "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def test_the_migrated_schema_equals_the_metadata(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    assert check(empty_database_url) == []


def test_names_of_constraints_equal_the_metadata(empty_database_url: str) -> None:
    """What Alembic's comparison leaves out: primary keys and the names of references."""
    upgrade(empty_database_url)
    engine = open_engine(empty_database_url)
    inspector = inspect(engine)
    for table in Base.metadata.sorted_tables:
        assert inspector.get_pk_constraint(table.name)["name"] == table.primary_key.name
        references = {
            (key["name"], key["options"].get("ondelete"))
            for key in inspector.get_foreign_keys(table.name)
        }
        assert references == {(key.name, key.ondelete) for key in table.foreign_key_constraints}
    engine.dispose()


def test_a_difference_is_told(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    engine = open_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_jobs_status_lease_until"))
        connection.execute(text("ALTER TABLE jobs ADD COLUMN colour VARCHAR(8)"))
    engine.dispose()
    differences = " ".join(check(empty_database_url))
    assert "ix_jobs_status_lease_until" in differences
    assert "colour" in differences


def test_an_empty_database_is_told_to_be_behind(empty_database_url: str) -> None:
    (difference,) = check(empty_database_url)
    assert difference.startswith(BEHIND)


def test_upgrading_again_changes_nothing(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    engine = open_engine(empty_database_url)
    sessions = open_sessions(engine)
    with sessions.begin() as session:
        corpus = make_corpus(session)
    upgrade(empty_database_url)
    with sessions() as session:
        assert session.get(type(corpus), corpus.id) is not None
    engine.dispose()


def test_references_are_guarded_after_an_upgrade(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    engine = open_engine(empty_database_url)
    with open_sessions(engine)() as session:
        make_running(session)
        with pytest.raises(IntegrityError):
            session.execute(text("DELETE FROM corpora"))
    engine.dispose()


def test_rows_of_the_version_before_are_kept_on_the_way_up_and_down(
    empty_database_url: str,
) -> None:
    engine = open_engine(empty_database_url)
    with engine.connect() as connection:
        command.upgrade(configure(connection), "0003")
        told = {"id": uuid4().hex, "title": "a", "text": "말길 👩", "sha256": "0" * 64}
        connection.execute(
            text(
                "INSERT INTO documents (id, title, text, sha256, created_at)"
                " VALUES (:id, :title, :text, :sha256, '2030-01-01')"
            ),
            told,
        )
        connection.commit()
        command.upgrade(configure(connection), "0004")
        length = connection.execute(text("SELECT length FROM documents")).scalar_one()
        assert length == len("말길 👩")
        command.downgrade(configure(connection), "0003")
        kept = connection.execute(text("SELECT text FROM documents")).scalar_one()
        assert kept == "말길 👩"
        connection.commit()
    engine.dispose()


def test_several_processes_can_upgrade_at_once(empty_database_url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        start = partial(started, database_url=empty_database_url, folder=tmp_path)
        processes = [stack.enter_context(start()) for _ in range(3)]
        for process in processes:
            assert process.communicate(timeout=60) == ("", "")
            assert process.returncode == 0
    assert check(empty_database_url) == []


def test_the_command_works_from_anywhere(empty_database_url: str, tmp_path: Path) -> None:
    start = partial(started, database_url=empty_database_url, folder=tmp_path)
    for arguments, status, output in (
        (["check"], 1, BEHIND),
        (["upgrade"], 0, ""),
        (["check"], 0, ""),
        ([], 0, ""),
    ):
        with start(*arguments) as process:
            written, errors = process.communicate(timeout=60)
            assert (process.returncode, errors) == (status, "")
            assert written.startswith(output)
