from __future__ import annotations

from mephisto_es.adapters.channels.backoff import FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, Backoff


def test_waits_double_up_to_a_limit() -> None:
    backoff = Backoff(10_000, lambda: 1.0)
    delays = [backoff.next_delay(0) for _ in range(12)]
    assert delays[:3] == [FIRST_DELAY_SECONDS, 2 * FIRST_DELAY_SECONDS, 4 * FIRST_DELAY_SECONDS]
    assert delays[-1] == MAX_DELAY_SECONDS


def test_jitter_takes_up_to_half_of_a_wait() -> None:
    assert Backoff(100, lambda: 0.0).next_delay(0) == FIRST_DELAY_SECONDS / 2


def test_patience_ends_and_the_last_wait_does_not_pass_it() -> None:
    backoff = Backoff(10, lambda: 1.0)
    assert backoff.next_delay(100) is not None
    assert backoff.next_delay(109.9) == 110 - 109.9
    assert backoff.next_delay(110) is None


def test_patience_may_begin_anew_and_the_waits_stay_as_long_as_they_are() -> None:
    backoff = Backoff(10, lambda: 1.0)
    for _ in range(3):
        backoff.next_delay(0)
    assert backoff.next_delay(10) is None
    backoff.restart_patience(10)
    assert backoff.next_delay(10) == 8 * FIRST_DELAY_SECONDS


def test_a_good_time_restores_patience() -> None:
    backoff = Backoff(10, lambda: 1.0)
    backoff.next_delay(0)
    backoff.reset()
    assert backoff.next_delay(50) == FIRST_DELAY_SECONDS
