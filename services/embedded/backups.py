"""A copy of all that an embedded installation keeps: its database, and the blobs it refers to.

The queue is not part of it: whatever is in there can be made again from the database.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from core.errors import ConflictError, InputError, NotFoundError
from core.settings import Settings
from core.storage.blobs import Blobs
from core.storage.tables import Base
from services.embedded.claims import held

DATABASE = "malgil.db"
BLOBS = "blobs"
TRIES = 10  # a training that runs replaces its snapshot, at times between our two looks
FILE_URL = "file://"


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy consists of; of the blobs, how many had to be written for it."""

    database_bytes: int
    blobs: int
    blob_bytes: int
    new_blobs: int


def back_up(settings: Settings, folder: Path) -> Copied:
    """Copy the installation to ``folder`` while it runs; blobs that lie there already are kept.

    Raises InputError where it does not keep its data in files, NotFoundError if a blob is
    missing, and BundleError if one is damaged: the copy before it, if any, then stays.
    """
    database, blobs = _database(settings), _blobs(settings)
    if not database.is_file():
        raise NotFoundError("database", database)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = Blobs.open(f"{FILE_URL}{(folder / BLOBS).absolute()}")
    fresh, new = folder / f".{DATABASE}.new", 0
    for attempt in range(TRIES):
        _copy_database(database, fresh)
        try:
            new += _copy_blobs(blobs, kept, _keys(fresh))
            break
        except NotFoundError:
            if attempt == TRIES - 1:
                raise
    fresh.replace(folder / DATABASE)
    keys = set(_keys(folder / DATABASE))
    for path in (folder / BLOBS).glob("??/*"):
        if path.name not in keys:  # of an earlier copy, and no longer referred to
            path.unlink()
    return _counted(folder / DATABASE, kept, new)


def restore(settings: Settings, folder: Path) -> Copied:
    """Put the copy in ``folder`` into an installation that has no database yet and is not up.

    The database gets its name last: what was cut short can be done again. Raises InputError if
    there is no copy, or a damaged one, BundleError if a blob in it is damaged, and ConflictError
    if there is a database, or somebody runs.
    """
    database, blobs = _database(settings), _blobs(settings)
    copy = folder / DATABASE
    if not copy.is_file():
        raise InputError(f"{folder} holds no backup: there is no {copy}.")
    with held(settings.home):
        # A log of writes that an earlier database left would be played into the new one.
        for end in ("", "-wal", "-shm", "-journal"):
            there = database.with_name(database.name + end)
            if there.exists():
                raise ConflictError(f"{there} is there already; move it away first.")
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = database.with_name(f".{database.name}.new")
        _copy_database(copy, fresh)
        kept = Blobs.open(f"{FILE_URL}{(folder / BLOBS).absolute()}")
        new = _copy_blobs(kept, blobs, _keys(fresh))
        fresh.replace(database)
        return _counted(database, blobs, new)


def _database(settings: Settings) -> Path:
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise InputError(
            "The database is a server's; its own tools copy it. The README says how.",
            field="MALGIL_DATABASE_URL",
        )
    return Path(url.database)


def _blobs(settings: Settings) -> Blobs:
    if not settings.blobs_url.startswith(f"{FILE_URL}/"):
        raise InputError(
            "The blobs lie in a bucket; copy it with its own tools.", field="MALGIL_BLOBS_URL"
        )
    return Blobs.open(settings.blobs_url)


def _copy_database(database: Path, copy: Path) -> None:
    """Copy a database as it is between two transactions, to one file that holds all of it."""
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        try:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            verdict = str(error)
    if verdict != "ok":
        copy.unlink()
        raise InputError(f"The database {database} is damaged: {verdict}")


def _keys(database: Path) -> Iterator[str]:
    """Yield the keys of all blobs that a database refers to."""
    columns = [
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if column.name.endswith("blob_key")
    ]
    with closing(sqlite3.connect(database)) as connection:
        for table, column in columns:
            query = f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608 (our own names)
            yield from (key for (key,) in connection.execute(query).fetchall())


def _copy_blobs(source: Blobs, target: Blobs, keys: Iterator[str]) -> int:
    """Copy what ``target`` lacks, each checked by its checksum; returns how many it lacked."""
    new = 0
    for key in set(keys):
        if not target.exists(key):
            path = source.intact_path(key)
            if path is not None:
                target.put_file(path)
            new += 1
    return new


def _counted(database: Path, blobs: Blobs, new: int) -> Copied:
    keys = set(_keys(database))
    return Copied(
        database_bytes=database.stat().st_size,
        blobs=len(keys),
        blob_bytes=sum(map(blobs.size, keys)),
        new_blobs=new,
    )
