"""Opening the database: SQLite or PostgreSQL, behaving alike."""

import json
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import TYPE_CHECKING, Any, TypeVarTuple

from sqlalchemy import Connection, Engine, Select, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

if TYPE_CHECKING:
    from psycopg import Connection as PostgresConnection

BUSY_TIMEOUT_S = 30  # how long a SQLite writer waits for the one before it
IDLE_TRANSACTION_S = 30  # a PostgreSQL client that stands still for so long loses its locks
READS = ("SELECT", "PRAGMA", "EXPLAIN")

Columns = TypeVarTuple("Columns")


def open_engine(url: str) -> Engine:
    """Prepare connections to ``url``: ``sqlite:///PATH`` or ``postgresql://...``.

    Both databases then read what is committed at each statement, and from its first write on a
    transaction keeps what it has touched to itself. The directory of a SQLite file is made.
    """
    parsed = make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        engine = create_engine(parsed, json_serializer=_to_json, pool_pre_ping=True)
        event.listen(engine, "connect", _prepare_postgresql)
        return engine
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        parsed, json_serializer=_to_json, connect_args={"timeout": BUSY_TIMEOUT_S}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "before_cursor_execute", _begin_before_writing)
    return engine


def open_sessions(engine: Engine) -> sessionmaker[Session]:
    """Make sessions whose rows stay readable after commit, and are renewed by every read."""
    return sessionmaker(
        engine, expire_on_commit=False, execution_options={"populate_existing": True}
    )


def locked(
    query: Select[*Columns], *, skip_locked: bool = False, exclusive: bool = False
) -> Select[*Columns]:
    """Let ``query`` hold what it reads until the transaction ends.

    PostgreSQL locks the rows, so that others can refer to them but not change them; ``exclusive``
    keeps new references out as well. SQLite locks the whole database against writing.
    """
    query = query.with_for_update(key_share=not exclusive, skip_locked=skip_locked)
    return query.execution_options(malgil_locked=True)


def _to_json(value: Any) -> str:
    # PostgreSQL refuses NaN in JSON where SQLite would keep it: refused on both.
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _prepare_postgresql(connection: "PostgresConnection[Any]", record: ConnectionPoolEntry) -> None:
    """Let nobody who stands still in the middle of a write keep a job from all others."""
    del record
    wanted = ("idle_in_transaction_session_timeout", f"{IDLE_TRANSACTION_S}s")
    connection.execute("SELECT set_config(%s, %s, false)", wanted)
    connection.commit()


def _prepare_sqlite(connection: SqliteConnection, record: ConnectionPoolEntry) -> None:
    del record
    connection.isolation_level = None  # transactions begin where we say, below
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_before_writing(
    connection: Connection,
    cursor: DBAPICursor,
    statement: str,
    parameters: object,
    context: ExecutionContext | None,
    executemany: bool,  # noqa: FBT001 (SQLAlchemy's event signature)
) -> None:
    """Begin at the first write and not before.

    A transaction that has read before it writes can find its snapshot outdated, and SQLite then
    fails it at once, however long the busy timeout. Reads therefore stay outside, as they do in
    PostgreSQL's READ COMMITTED, and the first write waits for its turn.
    """
    del parameters, executemany
    driver = connection.connection.driver_connection
    if driver is None or driver.in_transaction:
        return
    locks = context is not None and context.execution_options.get("malgil_locked", False)
    if locks or not statement.lstrip().upper().startswith(READS):
        cursor.execute("BEGIN IMMEDIATE")
