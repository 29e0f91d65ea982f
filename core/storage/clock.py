"""The time by which rows are written: that of the database, the one all processes share."""

from datetime import UTC, datetime

from sqlalchemy import Engine, text

from core.clock import Clock

TIME = text("SELECT extract(epoch FROM clock_timestamp())")


class DatabaseClock:
    """Tells the time of a database; a file has none but that of its host.

    Leases, turns and ages are compared by whoever reads the rows, with a clock that may be
    minutes off. Asks the database now and then; while it is down its time goes on.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._clock = Clock()

    def __call__(self) -> datetime:
        """Return the time, in UTC."""
        if self._engine.dialect.name != "sqlite" and self._clock.is_due:
            self._clock.ask(self._time)
        return datetime.fromtimestamp(self._clock(), UTC)

    def _time(self) -> float:
        with self._engine.connect() as connection:
            return float(connection.execute(TIME).scalar_one())
