"""The time by which rows are written."""

from datetime import UTC, datetime, timedelta

import time_machine
from sqlalchemy import Engine

from core.storage.clock import DatabaseClock
from core.storage.session import open_engine

CLOSE = timedelta(seconds=1)
AHEAD = timedelta(hours=3)


def test_rows_are_written_by_the_clock_of_the_database_whatever_the_host_says(
    engine: Engine,
) -> None:
    before = datetime.now(UTC)
    with time_machine.travel(before + AHEAD, tick=True):
        told = DatabaseClock(engine)()
    if engine.dialect.name == "sqlite":  # a file has no clock but that of its host
        assert abs(told - before - AHEAD) < CLOSE
    else:
        assert abs(told - before) < CLOSE


def test_while_the_database_is_down_its_time_goes_on() -> None:
    clock = DatabaseClock(open_engine("postgresql://nobody@127.0.0.1:1/nothing"))
    assert abs(clock() - datetime.now(UTC)) < CLOSE
