import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from core.queue.broker import open_redis
from core.queue.messages import INFERENCE_QUEUE, JOBS_QUEUE, SWEEP_QUEUE, alive_key
from core.storage.session import open_engine
from tests.services.cli.conftest import Malgil, Server

QUEUES = (INFERENCE_QUEUE, JOBS_QUEUE, SWEEP_QUEUE)
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[Redis]:
    """A queue server set up as it must be, on which every queue is consumed."""
    with open_redis(valkey_url) as client:
        client.config_set("appendonly", "yes")
        for queue in QUEUES:
            client.set(alive_key(queue), "somebody", ex=60)
        yield client
        client.config_set("appendonly", "no")
        client.config_set("maxmemory-policy", "noeviction")


@pytest.fixture
def patient(
    database_url: str,  # before the server, which takes the tables that it finds
    server: Server,
    valkey: Redis,
    valkey_url: str,
    blobs_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """An installation that lacks nothing; returns its home."""
    monkeypatch.setenv("MALGIL_HOME", str(tmp_path))
    monkeypatch.setenv("MALGIL_REDIS_URL", valkey_url)
    monkeypatch.setenv("MALGIL_DATABASE_URL", database_url)
    monkeypatch.setenv("MALGIL_BLOBS_URL", blobs_url)
    return tmp_path


def wrong(malgil: Malgil) -> dict[str, str]:
    """Return what is wrong, by what it is of; each comes with what to do."""
    ran = malgil("doctor", "--json")
    found = {one["name"]: one["found"] for one in ran.data["checks"] if not one["ok"]}
    assert all(bool(one["mend"]) is not one["ok"] for one in ran.data["checks"])
    assert (ran.code, ran.data["ok"]) == (1 if found else 0, not found)
    return found


def test_an_installation_that_lacks_nothing_is_well(malgil: Malgil, patient: Path) -> None:
    assert wrong(malgil) == {}
    ran = malgil("doctor")
    assert ran.code == 0
    assert ran.out.endswith("Everything is as it must be.\n")
    assert "wrong" not in ran.out


@ONE_DATABASE
@pytest.mark.parametrize("blobs_url", ["directory"], indirect=True)
def test_a_look_leaves_nothing_behind(malgil: Malgil, patient: Path, valkey: Redis) -> None:
    before = sorted(valkey.keys())
    assert wrong(malgil) == {}
    assert sorted(valkey.keys()) == before
    assert not [path for path in (patient / "blobs").rglob("*") if path.is_file()]


@ONE_DATABASE
@pytest.mark.parametrize("blobs_url", ["directory"], indirect=True)
def test_a_queue_that_nobody_consumes_is_named(
    malgil: Malgil, patient: Path, valkey: Redis
) -> None:
    valkey.delete(alive_key(INFERENCE_QUEUE), alive_key(SWEEP_QUEUE))
    assert set(wrong(malgil)) == {"inference worker", "beat"}
    ran = malgil("doctor")
    assert ran.code == 1
    assert "logs/inference.log" in ran.out
    assert "\n2 of " in ran.out


@ONE_DATABASE
@pytest.mark.parametrize("blobs_url", ["directory"], indirect=True)
def test_a_queue_server_that_forgets_is_named(malgil: Malgil, patient: Path, valkey: Redis) -> None:
    valkey.config_set("appendonly", "no")
    valkey.config_set("maxmemory-policy", "allkeys-lru")
    assert wrong(malgil) == {
        "queue log": "appendonly is not yes",
        "queue memory": "maxmemory-policy is not noeviction",
    }


@pytest.mark.parametrize("blobs_url", ["directory"], indirect=True)
def test_a_database_that_is_behind_is_named(
    malgil: Malgil, patient: Path, database_url: str
) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    engine.dispose()
    assert set(wrong(malgil)) == {"schema"}
    assert "python -m migrations" in malgil("doctor").out


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("blobs_url", ["directory"], indirect=True)
def test_a_clock_that_goes_wrong_is_named(malgil: Malgil, patient: Path, database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:  # a clock of the database's own, found before the server's
        connection.exec_driver_sql(
            "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
            "$$ SELECT pg_catalog.clock_timestamp() - interval '5 minutes' $$"
        )
        path = f'ALTER DATABASE "{engine.url.database}" SET search_path = public, pg_catalog'
        connection.exec_driver_sql(path)
    engine.dispose()
    assert wrong(malgil) == {"clock of database": "300.0 s behind this machine"}


@ONE_DATABASE
@pytest.mark.parametrize("blobs_url", ["directory"], indirect=True)
def test_what_is_not_there_is_named(
    malgil: Malgil, patient: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = patient / "nowhere"
    monkeypatch.setenv("MALGIL_REDIS_URL", f"unix://{nowhere}.sock")
    monkeypatch.setenv("MALGIL_DATABASE_URL", f"sqlite:///{nowhere}.db")
    monkeypatch.setenv("MALGIL_BLOBS_URL", f"file://{nowhere}")
    monkeypatch.setenv("MALGIL_API_URL", "http://127.0.0.1:1")
    found = wrong(malgil)
    assert set(found) == {"database", "queue server", "blob store", "API"}
    assert found["database"] == f"there is no {nowhere}.db"
    assert not nowhere.exists()
    assert not nowhere.with_suffix(".db").exists()


@ONE_DATABASE
@pytest.mark.parametrize("blobs_url", ["directory"], indirect=True)
def test_a_database_server_that_is_down_is_named_without_its_password(
    malgil: Malgil, patient: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALGIL_DATABASE_URL", "postgresql://me:hidden@127.0.0.1:1/malgil")
    found = wrong(malgil)
    assert set(found) == {"database"}
    assert "hidden" not in malgil("doctor").out
    assert "127.0.0.1:1/malgil does not answer" in found["database"]


@ONE_DATABASE
@pytest.mark.parametrize("blobs_url", ["directory"], indirect=True)
def test_a_blob_store_that_cannot_be_written_is_named(
    malgil: Malgil, patient: Path, tmp_path: Path
) -> None:
    blobs = tmp_path / "blobs"
    shutil.rmtree(blobs, ignore_errors=True)
    blobs.mkdir()
    for first in range(256):  # in the place of each folder a file: no user may write under that
        (blobs / f"{first:02x}").touch()
    assert set(wrong(malgil)) == {"blob store"}


def test_a_setting_that_does_not_fit_is_2(malgil: Malgil, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALGIL_PORT", "many")
    ran = malgil("doctor")
    assert (ran.code, ran.out) == (2, "")
    assert "MALGIL_PORT" in ran.err
