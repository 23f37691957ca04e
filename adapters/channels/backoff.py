"""How long to wait before the next attempt, and when to stop trying."""

from __future__ import annotations

from collections.abc import Callable

#: The longest first wait; each further one may be twice as long.
FIRST_DELAY_SECONDS = 0.25
#: No wait is longer.
LONGEST_DELAY_SECONDS = 20.0


class Backoff:
    """Waits that grow from failure to failure, with jitter, until patience is at an end."""

    def __init__(self, patience_seconds: float, jitter: Callable[[], float]) -> None:
        """Start without a failure.

        Args:
            patience_seconds: how long failures may go on.
            jitter: gives numbers from 0 to 1, so that many who lost one server do not come back all at once.
        """
        self._patience_seconds = patience_seconds
        self._jitter = jitter
        self._failing_since: float | None = None
        self._ceiling = FIRST_DELAY_SECONDS

    def next_delay(self, now: float) -> float | None:
        """Note a failure; returns the seconds to wait, or None if patience is at an end."""
        if self._failing_since is None:
            self._failing_since = now
        remaining = self._failing_since + self._patience_seconds - now
        if remaining <= 0:
            return None
        delay = self._ceiling * (1 + self._jitter()) / 2
        self._ceiling = min(2 * self._ceiling, LONGEST_DELAY_SECONDS)
        return min(delay, remaining)

    def reset(self) -> None:
        """Note that all is well."""
        self._failing_since = None
        self._ceiling = FIRST_DELAY_SECONDS
