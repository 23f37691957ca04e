"""Deadlines by the wall clock, watched by one task."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

import trio

from ...ports import WallClock
from ...signal import Signal

#: The longest sleep without a look at the wall clock, so that a clock that was set forward is noticed.
LONGEST_SLEEP_SECONDS = 3600.0


class Deadlines:
    """Calls functions when their time has come. A function must not block; one that is no longer needed looks for
    itself and does nothing.
    """

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._changed = Signal()

    def set_from(self, since_us: int, seconds: int, action: Callable[[], None]) -> None:
        """Have a function called some seconds after a recorded time.

        A time that is yet to come was recorded by a clock that was wrong, and counts as now.
        """
        self.set(min(since_us, self._clock.now_us()) + seconds * 1_000_000, action)

    def set(self, at_us: int, action: Callable[[], None]) -> None:
        """Have a function called at a time, given in microseconds since the epoch; at once if that has passed."""
        heapq.heappush(self._heap, (at_us, next(self._order), action))
        if self._heap[0][0] == at_us:
            self._changed.notify()

    async def run(self) -> None:
        """The task that watches. Runs until it is cancelled."""
        while True:
            changed = self._changed.next_event()
            seconds = self._call_due()
            with trio.move_on_after(seconds):
                await changed.wait()

    def _call_due(self) -> float:
        """Call what is due; the seconds until the next is."""
        while self._heap:
            left = (self._heap[0][0] - self._clock.now_us()) / 1_000_000
            if left > 0:
                return min(left, LONGEST_SLEEP_SECONDS)
            heapq.heappop(self._heap)[2]()
        return LONGEST_SLEEP_SECONDS
