from datetime import UTC
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from core.errors import NotFoundError
from core.storage import aliases, checkpoints, snapshots
from tests.core.storage.rows import NOW, later, make_checkpoint, make_running


def test_a_checkpoint_comes_back_as_it_was_kept(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        job_id = make_running(session).id
        checkpoint_id = make_checkpoint(session, job_id=job_id).id
    with sessions() as session:
        checkpoint = checkpoints.get(session, checkpoint_id)
        assert (checkpoint.job_id, checkpoint.step) == (job_id, 100)
        assert checkpoint.spec == {"model": {"hidden_dim": 8}}
        assert (checkpoint.metrics, checkpoint.report) == ({"loss": 0.5}, {"note": "말"})
        assert (checkpoint.blob_key, checkpoint.bytes) == ("a" * 64, 5_000_000_000)
        assert checkpoint.created_at == NOW
        assert checkpoint.created_at.tzinfo is UTC


def test_the_id_can_be_chosen(session: Session) -> None:
    chosen = uuid4()
    checkpoint = checkpoints.add(
        session,
        job_id=None,
        step=1,
        spec={},
        metrics={},
        report={},
        blob_key="b" * 64,
        bytes_=1,
        now=NOW,
        id_=chosen,
    )
    assert checkpoint.id == chosen
    assert checkpoints.get(session, chosen).job_id is None


def test_no_checkpoint_belongs_to_a_job_that_does_not_exist(session: Session) -> None:
    with pytest.raises(IntegrityError):
        make_checkpoint(session, job_id=uuid4())


def test_what_is_not_there_is_not_found(session: Session) -> None:
    with pytest.raises(NotFoundError, match="no checkpoint"):
        checkpoints.get(session, uuid4())


def test_checkpoints_are_listed_newest_first(session: Session) -> None:
    ids = [make_checkpoint(session, now=later(age)).id for age in range(5)]
    read = checkpoints.page(session, before=None, limit=2)
    while chunk := checkpoints.page(session, before=read[-1].id, limit=2):
        read.extend(chunk)
    assert [checkpoint.id for checkpoint in read] == ids[::-1]


def test_the_newest_checkpoint_of_a_job_is_found(session: Session) -> None:
    job_id = make_running(session).id
    assert checkpoints.of_job(session, job_id) is None
    make_checkpoint(session, job_id=job_id, now=later(1))
    newest = make_checkpoint(session, job_id=job_id, now=later(2))
    make_checkpoint(session, now=later(3))
    found = checkpoints.of_job(session, job_id)
    assert found is not None
    assert found.id == newest.id


def test_a_model_is_called_by_alias_or_by_id(session: Session) -> None:
    one, other = make_checkpoint(session), make_checkpoint(session)
    aliases.promote(session, "bot", one.id, now=NOW)
    assert checkpoints.resolve(session, "bot").id == one.id
    assert checkpoints.resolve(session, str(other.id)).id == other.id


@pytest.mark.parametrize("ref", ["", "nobody", "00000000-0000-0000-0000-000000000000"])
def test_what_names_no_model_is_not_found(session: Session, ref: str) -> None:
    make_checkpoint(session)
    with pytest.raises(NotFoundError, match="no model"):
        checkpoints.resolve(session, ref)


def test_a_blob_is_in_use_by_a_checkpoint_or_a_snapshot(session: Session) -> None:
    make_checkpoint(session, blob_key="c" * 64)
    job_id = make_running(session).id
    snapshots.put(session, job_id, attempt=1, step=1, blob_key="d" * 64, bytes_=1, now=NOW)
    used = [key for key in "abcde" if checkpoints.blob_in_use(session, key * 64)]
    assert used == ["c", "d"]
