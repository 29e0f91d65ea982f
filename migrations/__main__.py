"""``python -m migrations``: bring the database of MALGIL_DATABASE_URL up to date."""

import argparse
import sys
import tempfile

from alembic import command
from alembic.script import ScriptDirectory

from core.settings import Settings
from core.storage.session import open_engine
from migrations import check, configure, upgrade


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m migrations", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("upgrade", help="bring the database up to date (the default)")
    commands.add_parser("check", help="compare the database with what the code expects")
    new = commands.add_parser("new", help="write the next step from what changed in the tables")
    new.add_argument("message", help="what the step does, in a few words")
    chosen = parser.parse_args(arguments)
    if chosen.command == "new":
        _write_step(chosen.message)
        return 0
    url = Settings().database_url
    if chosen.command == "check":
        differences = check(url)
        sys.stdout.writelines(f"{difference}\n" for difference in differences)
        return 1 if differences else 0
    upgrade(url)
    return 0


def _write_step(message: str) -> None:
    # Compared with a scratch database, so that no real one needs to be at hand.
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/scratch.db"
        upgrade(url)
        engine = open_engine(url)
        with engine.connect() as connection:
            config = configure(connection)
            steps = list(ScriptDirectory.from_config(config).walk_revisions())
            command.revision(config, message, autogenerate=True, rev_id=f"{len(steps) + 1:04d}")
        engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
