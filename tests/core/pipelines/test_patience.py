from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from core.errors import InputError, LeaseLostError, UnavailableError
from core.pipelines.lease import Lease
from core.pipelines.patience import DOWN, Patience, reason_of
from tests.core.storage.rows import make_running


class Broken:
    """Fails so many times, and then gives an answer."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


DATABASE = OperationalError("SELECT 1", {}, Exception("connection refused\nIs it running?"))
STORE = UnavailableError("The blob store failed: no route")


@pytest.fixture
def lease(sessions) -> Lease:
    with sessions.begin() as session:
        job_id = make_running(session).id
    return Lease(
        sessions=sessions, job_id=job_id, attempt=1, lease_s=6, now=lambda: datetime.now(UTC)
    )


def patience(
    lease: Lease,
    tell: Callable[[str], None],
    *,
    limit_s: float = 30,
    leaving: Callable[[], bool] = lambda: False,
) -> Patience:
    return Patience(lease, limit_s=limit_s, leaving=leaving, tell=tell)


def test_what_comes_back_is_waited_for_and_told_of_once(lease: Lease) -> None:
    told: list[str] = []
    assert patience(lease, told.append).through(Broken(STORE, STORE, DATABASE)) == "done"
    waits, goes_on = told
    assert waits == f"waits: {STORE}"
    assert goes_on.startswith("goes on after ")
    assert goes_on.endswith(str(STORE))


def test_where_nothing_is_down_nothing_is_told(lease: Lease) -> None:
    told: list[str] = []
    assert patience(lease, told.append).through(Broken()) == "done"
    assert told == []


def test_an_outage_that_cannot_be_told_of_is_waited_out_all_the_same(lease: Lease) -> None:
    def tell(words: str) -> None:
        raise DATABASE

    assert patience(lease, tell).through(Broken(DATABASE)) == "done"


@pytest.mark.parametrize("error", [InputError("no"), IntegrityError("", {}, Exception("no"))])
def test_what_no_retry_can_help_with_is_raised_at_once(lease: Lease, error: Exception) -> None:
    broken = Broken(error, error)
    with pytest.raises(type(error)):
        patience(lease, print).through(broken)
    assert len(broken.errors) == 1


def test_patience_ends(lease: Lease) -> None:
    with pytest.raises(UnavailableError):
        patience(lease, print, limit_s=0.5).through(Broken(*[STORE] * 99))


def test_who_is_to_leave_stop_or_rest_does_not_wait(lease: Lease) -> None:
    with pytest.raises(UnavailableError):
        patience(lease, print, leaving=lambda: True).through(Broken(STORE))
    for wish in ("cancelled", "paused"):
        setattr(lease, wish, True)
        with pytest.raises(UnavailableError):
            patience(lease, print).through(Broken(STORE))
        setattr(lease, wish, False)
    lease.lost = True
    with pytest.raises(LeaseLostError):
        patience(lease, print).through(Broken(STORE))


def test_the_reason_is_one_line_without_the_statement() -> None:
    assert reason_of(DATABASE) == "The database failed: connection refused"
    assert isinstance(DATABASE, DOWN)
