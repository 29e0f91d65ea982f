"""Whatever fits the OpenAPI schema, or nearly fits: no 500, and every answer as described.

Values at the edges of the schema go to SQLite, values at random to PostgreSQL.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks
from sqlalchemy import make_url

from core.settings import Settings
from core.storage.tables import CorpusKind
from services.api.app import create_app
from tests.services.api.conftest import open_house
from tests.services.api.fakes import FakeDoorbell, FakeInbox
from tests.services.api.rows import (
    add_checkpoint,
    add_corpus,
    add_document,
    add_job,
    add_pairs,
    claim,
)
from tests.services.api.serving import served

DESCRIBED = create_app(Settings()).openapi()
load_all_checks()
CONFORMING = [
    CHECKS.get_one(name)
    for name in (
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]
STANDING = [*CONFORMING, CHECKS.get_one("not_a_server_error")]


def schema(*, edges: bool) -> schemathesis.BaseSchema:
    phases = {"coverage": {"enabled": edges}, "fuzzing": {"enabled": not edges}}
    config = schemathesis.Config.from_dict({"phases": phases})
    # A stream follows a job until it has ended, and these never do.
    return schemathesis.openapi.from_dict(DESCRIBED, config=config).exclude(path_regex="/stream$")


class Served:
    """A server with something in it: where it is, and path parameters that lead somewhere."""

    def __init__(self, url: str, known: dict[str, str]) -> None:
        self.url = url
        self.known = known

    def check(self, case: schemathesis.Case) -> None:
        """Send ``case`` as it is, and once more to something that is there."""
        checks = CONFORMING if case.path == "/ready" else STANDING  # there is no broker here
        case.call_and_validate(base_url=self.url, checks=checks)
        leading = {name: self.known[name] for name in case.path_parameters if name in self.known}
        if leading and case.operation.method != "delete":
            case.path_parameters.update(leading)
            case.call_and_validate(base_url=self.url, checks=checks)


@contextmanager
def filled(home: Path, database_url: str) -> Iterator[Served]:
    config = Settings(
        home=home,
        database_url=database_url,
        redis_url=f"unix://{home / 'nobody.sock'}",
        upload_limit_mb=1,
    )
    app = create_app(config, opener=open_house(FakeInbox(), FakeDoorbell()))
    with served(app) as url:
        sessions = app.state.resources.sessions
        corpus = add_corpus(sessions)
        add_corpus(sessions, name="chats", kind=CorpusKind.DIALOGUES)
        job = add_job(sessions, corpus.id)
        claim(sessions)
        checkpoint = str(add_checkpoint(sessions, job_id=job.id).id)
        requests.put(f"{url}/v1/aliases/bot", json={"checkpoint": checkpoint}, timeout=5)
        talk = requests.post(f"{url}/v1/conversations", json={"model": "bot"}, timeout=5).json()
        document = add_document(sessions)
        known = {
            "document_id": str(document.id),
            "pair_id": str(add_pairs(sessions, document)[0]),
            "ref": "talk",
            "job_id": str(job.id),
            "checkpoint_id": checkpoint,
            "conversation_id": talk["id"],
        }
        yield Served(url, known)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("sqlite")
    with filled(home, f"sqlite:///{home / 'malgil.db'}") as server:
        yield server


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Served]:
    name = f"t{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    database_url = make_url(postgres_url).set(database=name)
    home = tmp_path_factory.mktemp("postgres")
    with filled(home, database_url.render_as_string(hide_password=False)) as server:
        yield server


@schema(edges=True).parametrize()
@settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_edges_are_answered_as_described(case: schemathesis.Case, on_sqlite: Served) -> None:
    on_sqlite.check(case)


@schema(edges=False).parametrize()
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_anything_is_answered_as_described(case: schemathesis.Case, on_postgres: Served) -> None:
    on_postgres.check(case)
