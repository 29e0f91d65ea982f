"""A server's time, as a process reckons it between two questions."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import AGAIN_S, Clock

CLOSE = 0.05  # seconds that a slow machine may take between two lines


def test_before_anything_is_heard_it_is_the_time_of_this_host() -> None:
    assert Clock()() == pytest.approx(time.time(), abs=CLOSE)


@given(ahead=st.floats(-1e6, 1e6))
def test_what_is_heard_is_taken_and_goes_on(ahead: float) -> None:
    clock = Clock()
    clock.hear(time.time() + ahead, asked=time.monotonic())
    assert clock() - time.time() == pytest.approx(ahead, abs=CLOSE)
    assert not clock.is_due


def test_a_step_of_the_hosts_own_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    now = time.time()
    clock.hear(now, asked=time.monotonic())
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert clock() == pytest.approx(now, abs=CLOSE)


def test_an_answer_that_took_long_is_taken_only_where_there_is_no_other() -> None:
    clock = Clock()
    long_ago = time.monotonic() - 10
    clock.hear(1000.0, asked=long_ago)
    assert clock() == pytest.approx(1005.0, abs=CLOSE)
    clock.hear(9000.0, asked=long_ago)
    assert clock() == pytest.approx(1005.0, abs=CLOSE)


def test_a_server_that_fails_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    since_start = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: since_start)
    clock = Clock()
    clock.ask(lambda: 500.0)
    since_start += AGAIN_S
    assert clock.is_due
    clock.ask(lambda: 1 // 0)
    assert clock() == 500.0 + AGAIN_S, "time goes on"
    assert not clock.is_due
    since_start += AGAIN_S
    assert clock.is_due
