"""When a server that does not answer is asked again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.adapters.prometheus.breaker import FIRST_PAUSE, LONGEST_PAUSE, TRIES, Breaker


def opened() -> Breaker:
    breaker = Breaker()
    for _ in range(TRIES):
        assert breaker.closed_for(0.0) == ""
        breaker.failed("connection refused", 0.0)
    return breaker


def test_it_opens_after_some_failures_running() -> None:
    assert opened().closed_for(1.0) == "connection refused (3 times running or more; tried again every 15 s)"


def test_what_it_says_does_not_change_while_nothing_does() -> None:
    breaker = opened()
    said = {breaker.closed_for(0.1 * n) for n in range(1, 20)}
    assert breaker.closed_for(FIRST_PAUSE) == ""
    breaker.failed("connection refused", FIRST_PAUSE)
    assert said == {breaker.closed_for(FIRST_PAUSE + 0.1)}


def test_it_says_once_that_it_opens_and_once_that_it_closes() -> None:
    breaker = Breaker()
    assert [breaker.failed("late", 0.0) for _ in range(TRIES + 2)] == [
        n == TRIES for n in range(1, TRIES + 3)
    ]
    assert [breaker.answered() for _ in range(2)] == [True, False]


def test_an_answer_in_between_starts_the_count_again() -> None:
    breaker = Breaker()
    for _ in range(5 * TRIES):
        breaker.failed("late", 0.0)
        assert breaker.closed_for(0.0) == ""
        breaker.answered()


def test_after_the_pause_one_tries_and_the_others_wait_for_it() -> None:
    breaker = opened()
    assert breaker.closed_for(FIRST_PAUSE) == ""
    assert breaker.closed_for(FIRST_PAUSE) != ""
    breaker.answered()
    assert breaker.closed_for(FIRST_PAUSE) == ""


def test_whoever_tries_and_never_tells_does_not_keep_it_open_for_ever() -> None:
    breaker = opened()
    assert breaker.closed_for(FIRST_PAUSE) == ""
    assert breaker.closed_for(FIRST_PAUSE + LONGEST_PAUSE) == ""


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(TRIES, 5000))
def test_a_server_that_is_back_is_noticed_soon(failures: int) -> None:
    breaker = Breaker()
    for _ in range(failures):
        breaker.failed("late", 0.0)
    assert breaker.closed_for(LONGEST_PAUSE) == ""
