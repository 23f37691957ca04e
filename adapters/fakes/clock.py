"""A clock that can be moved, and what happens at a fake site by itself when its time has come."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

#: The time at which a fake begins unless it is given another, so that its days are always the same: 2026-11-02 09:00
#: UTC, a Monday, in seconds since the epoch.
START_SECONDS = 1_793_610_000.0


class FakeClock:
    """Time at a fake site: it passes like real time, and an administrator can move it forward."""

    def __init__(self, source: Callable[[], float], start_seconds: float = START_SECONDS) -> None:
        """Start.

        Args:
            source: a clock in seconds that never falls, for instance `time.monotonic` or `trio.current_time`.
            start_seconds: the site's time at the start, in seconds since the epoch.
        """
        self._source = source
        self._offset = start_seconds - source()

    def now(self) -> float:
        """Return the site's time in seconds since the epoch."""
        return self._source() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the time forward.

        Raises:
            ValueError: the seconds are negative; time does not fall.
        """
        if not seconds >= 0:
            raise ValueError("time moves forward only")
        self._offset += seconds


class Agenda:
    """Effects that are due at a time. They take place when the site is looked at next, in the order of their times."""

    def __init__(self, clock: FakeClock) -> None:
        """Begin empty."""
        self._clock = clock
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = count()

    def at(self, time: float, effect: Callable[[float], None]) -> None:
        """Plan an effect; it is called with its own time, however late that is noticed."""
        heapq.heappush(self._due, (time, next(self._numbers), effect))

    def after(self, seconds: float, effect: Callable[[float], None]) -> None:
        """Plan an effect for some seconds from now."""
        self.at(self._clock.now() + seconds, effect)

    def run_due(self) -> None:
        """Let everything happen whose time has come, including what follows from it."""
        now = self._clock.now()
        while self._due and self._due[0][0] <= now:
            time, _, effect = heapq.heappop(self._due)
            effect(time)

    def next_time(self) -> float | None:
        """Return the time of the next effect; None: none is planned."""
        return self._due[0][0] if self._due else None


def iso_time(seconds: float) -> str:
    """Return a time as sites write it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
