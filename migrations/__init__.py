"""The schema, step by step. ``python -m migrations`` brings a database up to date."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from core.storage.session import open_engine
from core.storage.tables import Base

TURNSTILE = 0x6D616C67696C  # PostgreSQL advisory lock: "malgil"


def upgrade(database_url: str) -> None:
    """Bring the database up to date, whole or not at all; several at once take turns."""
    engine = open_engine(database_url)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                # Rebuilding a table drops the old one, which would delete what refers to it.
                connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            _wait_for_turn(connection)
            command.upgrade(configure(connection), "head")
            _check_references(connection)
            connection.commit()
    finally:
        engine.dispose()


def check(database_url: str) -> list[str]:
    """Return how the database differs from what the code expects; empty when it does not."""
    engine = open_engine(database_url)
    try:
        with engine.connect() as connection:
            options = {"compare_type": True, "compare_server_default": True}
            context = MigrationContext.configure(connection, opts=options)
            found = set(context.get_current_heads())
            expected = set(ScriptDirectory.from_config(configure(connection)).get_heads())
            if found != expected:
                return [f"It is at version {_listed(found)}; the code needs {_listed(expected)}."]
            return [str(difference) for difference in compare_metadata(context, Base.metadata)]
    finally:
        engine.dispose()


def configure(connection: Connection) -> Config:
    """Tell Alembic where the steps are and which connection to use."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _wait_for_turn(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # A locking read begins the transaction; in WAL mode only one can hold that lock.
        connection.execute(text("SELECT 1").execution_options(malgil_locked=True))
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": TURNSTILE})


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if dangling:
            raise RuntimeError(f"The upgrade would leave dangling references: {dangling[:5]}")


def _listed(versions: set[str]) -> str:
    return ", ".join(sorted(versions)) or "none"
