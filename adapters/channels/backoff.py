"""Computes how long to wait before the next attempt, and when to give up."""

from __future__ import annotations

from collections.abc import Callable

#: The longest first delay; each further one may be twice as long.
FIRST_DELAY_SECONDS = 0.25
#: The longest delay.
MAX_DELAY_SECONDS = 20.0


class Backoff:
    """Delays that grow with each failure, with jitter, until a time limit."""

    def __init__(self, patience_seconds: float, jitter: Callable[[], float]) -> None:
        """Start without a failure.

        Args:
            patience_seconds: the time limit, counted from the first failure.
            jitter: returns numbers from 0 to 1, so that many clients of one server do not reconnect at the same time.
        """
        self._patience_seconds = patience_seconds
        self._jitter = jitter
        self._failing_since: float | None = None
        self._ceiling = FIRST_DELAY_SECONDS

    def next_delay(self, now: float) -> float | None:
        """Note a failure; return the seconds to wait, or None once the time limit is reached."""
        if self._failing_since is None:
            self._failing_since = now
        remaining = self._failing_since + self._patience_seconds - now
        if remaining <= 0:
            return None
        delay = self._ceiling * (1 + self._jitter()) / 2
        self._ceiling = min(2 * self._ceiling, MAX_DELAY_SECONDS)
        return min(delay, remaining)

    def restart_patience(self, now: float) -> None:
        """Count the time limit from now on; the delays stay as long as they are."""
        self._failing_since = now

    def reset(self) -> None:
        """Note a success."""
        self._failing_since = None
        self._ceiling = FIRST_DELAY_SECONDS
