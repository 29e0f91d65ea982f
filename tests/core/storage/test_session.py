import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session, sessionmaker

from core.storage import conversations
from core.storage import session as storage_session
from core.storage.session import locked, open_engine, open_sessions
from core.storage.tables import Checkpoint, Conversation, Turn
from tests.core.storage.rows import NOW, make_checkpoint


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/new/folder/malgil.db")
    yield engine
    engine.dispose()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_reached_through_psycopg(scheme: str) -> None:
    engine = open_engine(f"{scheme}://user:word@host:5433/malgil?application_name=x")
    assert (engine.dialect.name, engine.driver) == ("postgresql", "psycopg")
    assert engine.url.render_as_string(hide_password=False) == (
        "postgresql+psycopg://user:word@host:5433/malgil?application_name=x"
    )


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_whoever_stands_still_in_the_middle_of_a_write_loses_its_lock(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_session, "IDLE_TRANSACTION_S", 1)
    engine = open_engine(database_url)
    with open_sessions(engine).begin() as session:
        checkpoint = make_checkpoint(session).id
    rows = select(Checkpoint).where(Checkpoint.id == checkpoint)
    still = open_sessions(engine)()
    assert still.scalars(locked(rows)).all()
    with open_sessions(engine)() as other:
        assert not other.scalars(locked(rows, skip_locked=True)).all()
    time.sleep(2)
    with open_sessions(engine)() as other:
        assert other.scalars(locked(rows, skip_locked=True)).all()
    with pytest.raises(DBAPIError):
        still.scalars(rows).all()
    still.invalidate()
    engine.dispose()


def test_every_sqlite_connection_is_prepared(sqlite: Engine) -> None:
    with sqlite.connect() as one, sqlite.connect() as two:
        for connection in (one, two):
            found = [
                connection.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
            ]
            assert found == ["wal", 1, 30_000, 1]


def test_what_was_read_before_writing_may_be_outdated(sessions: sessionmaker[Session]) -> None:
    """In SQLite this is where SQLITE_BUSY_SNAPSHOT would strike."""
    with sessions.begin() as session:
        talk = conversations.start(session, model="before", now=NOW)
    with sessions() as one, sessions() as other:
        assert conversations.get(one, talk.id).model == "before"
        conversations.get(other, talk.id).model = "after"
        other.commit()
        conversations.start(one, model="new", now=NOW)
        assert conversations.get(one, talk.id).model == "after"
        one.commit()


def test_readers_go_on_while_someone_writes(sessions: sessionmaker[Session]) -> None:
    with sessions() as writer, sessions() as reader:
        talk = conversations.start(writer, model="bot", now=NOW)
        assert conversations.page(reader, before=None, limit=9) == []
        assert conversations.page(writer, before=None, limit=9) == [talk]
        writer.commit()
        assert len(conversations.page(reader, before=None, limit=9)) == 1


def test_a_locking_read_waits_for_the_one_before(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        talk = conversations.start(session, model="a", now=NOW)
    query = locked(select(Conversation).where(Conversation.id == talk.id))

    def lengthen() -> str:
        with sessions.begin() as session:
            found = session.scalars(query).one()
            found.model += "b"
            return found.model

    with sessions.begin() as session, ThreadPoolExecutor(1) as pool:
        found = session.scalars(query).one()
        waiting = pool.submit(lengthen)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.2)
        found.model += "a"
        session.commit()
        assert waiting.result(timeout=20) == "aab"


def test_a_rollback_takes_everything_back(sessions: sessionmaker[Session]) -> None:
    with sessions() as session:
        conversations.start(session, model="one", now=NOW)
        conversations.start(session, model="two", now=NOW)
        session.rollback()
        assert conversations.page(session, before=None, limit=9) == []


def test_a_savepoint_is_taken_back_alone(sessions: sessionmaker[Session]) -> None:
    with sessions() as session:
        savepoint = session.begin_nested()
        conversations.start(session, model="lost", now=NOW)
        savepoint.rollback()
        conversations.start(session, model="kept", now=NOW)
        session.commit()
        kept = conversations.page(session, before=None, limit=9)
        assert [talk.model for talk in kept] == ["kept"]


def test_a_row_can_be_read_after_commit(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        talk = conversations.start(session, model="bot", now=NOW)
    assert talk.model == "bot"


def test_moments_come_back_in_utc_whatever_zone_they_came_in(
    sessions: sessionmaker[Session],
) -> None:
    seoul = datetime(2030, 1, 1, 8, 30, 0, 1, tzinfo=timezone(timedelta(hours=9)))
    with sessions.begin() as session:
        talk_id = conversations.start(session, model="bot", now=seoul).id
    with sessions() as session:
        found = conversations.get(session, talk_id).created_at
        assert found == seoul
        assert found.utcoffset() == timedelta(0)
        assert found.isoformat() == "2029-12-31T23:30:00.000001+00:00"


def test_a_moment_without_zone_is_refused(session: Session) -> None:
    with pytest.raises(StatementError, match="time zone"):
        conversations.start(session, model="bot", now=datetime(2030, 1, 1))


def test_json_keeps_every_script_as_it_is(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        checkpoint = make_checkpoint(session)
        stored = session.execute(text("SELECT report FROM checkpoints")).scalar_one()
        assert stored in ('{"note":"말"}', {"note": "말"})
    assert checkpoint.created_at.tzinfo is UTC


def test_references_are_guarded(session: Session) -> None:
    with pytest.raises(IntegrityError):
        session.execute(text("INSERT INTO turns (position) VALUES (1)"))


def test_an_engine_is_made_without_connecting(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'later.db'}")
    open_sessions(engine)
    assert not (tmp_path / "later.db").exists()
    assert Turn.__table__.name == "turns"
