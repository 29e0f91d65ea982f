from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.errors import InProgressError, InputError
from core.storage import idempotency
from core.storage.idempotency import HOLD, KEPT_FOR
from tests.core.storage.rows import NOW

ONE, TWO = uuid4(), uuid4()
SOON = timedelta(milliseconds=1)
begin = partial(idempotency.begin, key="k", fingerprint="a" * 64)
answer = partial(idempotency.keep, key="k", status=201, location="/v1/jobs/1", body='{"id":1}')


def test_the_first_works_and_the_next_gets_its_answer(session: Session) -> None:
    assert begin(session, holder=ONE, now=NOW) is None
    answer(session, holder=ONE)
    for late in (SOON, KEPT_FOR - SOON):
        row = begin(session, holder=TWO, now=NOW + late)
        assert row is not None
        assert (row.status, row.location, row.body) == (201, "/v1/jobs/1", '{"id":1}')


def test_while_the_first_is_worked_on_the_next_is_refused(session: Session) -> None:
    begin(session, holder=ONE, now=NOW)
    with pytest.raises(InProgressError):
        begin(session, holder=TWO, now=NOW + HOLD)
    idempotency.hold(session, "k", holder=ONE, now=NOW + HOLD)
    with pytest.raises(InProgressError):
        begin(session, holder=TWO, now=NOW + 2 * HOLD)


def test_another_request_with_the_key_is_refused_whether_or_not_there_is_an_answer(
    session: Session,
) -> None:
    begin(session, holder=ONE, now=NOW)
    for _ in range(2):
        with pytest.raises(InputError, match="another request") as caught:
            begin(session, holder=TWO, now=NOW, fingerprint="b" * 64)
        assert caught.value.field == "Idempotency-Key"
        if not _answered(session):
            answer(session, holder=ONE)


def _answered(session: Session) -> bool:
    try:
        return begin(session, holder=TWO, now=NOW) is not None
    except InProgressError:
        return False


def test_a_request_that_fell_silent_is_taken_over_and_can_no_longer_answer(
    session: Session,
) -> None:
    begin(session, holder=ONE, now=NOW)
    assert begin(session, holder=TWO, now=NOW + HOLD + SOON) is None
    with pytest.raises(InProgressError):
        answer(session, holder=ONE)
    with pytest.raises(InProgressError):
        idempotency.hold(session, "k", holder=ONE, now=NOW)
    idempotency.let_go(session, "k", holder=ONE)
    answer(session, holder=TWO)


def test_a_request_that_did_nothing_leaves_the_key_free_and_an_answer_stays(
    session: Session,
) -> None:
    begin(session, holder=ONE, now=NOW)
    idempotency.let_go(session, "k", holder=ONE)
    assert begin(session, holder=TWO, now=NOW, fingerprint="b" * 64) is None
    answer(session, holder=TWO)
    idempotency.let_go(session, "k", holder=TWO)
    assert begin(session, holder=ONE, now=NOW, fingerprint="b" * 64) is not None


def test_after_a_day_a_key_is_as_if_it_had_never_been(session: Session) -> None:
    begin(session, holder=ONE, now=NOW)
    answer(session, holder=ONE)
    assert begin(session, holder=TWO, now=NOW + KEPT_FOR, fingerprint="b" * 64) is None
    assert idempotency.forget(session, now=NOW + 2 * KEPT_FOR - SOON) == 0
    assert idempotency.forget(session, now=NOW + 2 * KEPT_FOR) == 1


@pytest.mark.parametrize("round_", range(3))
def test_of_those_sent_at_once_only_one_is_worked_on(
    sessions: sessionmaker[Session], round_: int
) -> None:
    def send(holder: UUID) -> bool:
        try:
            with sessions.begin() as session:
                return begin(session, holder=holder, now=NOW) is None
        except InProgressError:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(send, [uuid4() for _ in range(4)])) == 1
