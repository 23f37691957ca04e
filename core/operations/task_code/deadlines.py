"""Calls functions at wall-clock deadlines, from one task."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from itertools import count

import trio

from ....events.envelope import RecordedEvent
from ....events.task_run import TaskRunPaused, TaskRunRecovering
from ...ports import WallClock
from ...signal import Signal

#: Maximum seconds between two readings of the wall clock, so that a clock that is set forward is noticed.
MAX_SLEEP_SECONDS = 3600.0


def paused_us(history: Iterable[RecordedEvent], since_us: int) -> int:
    """Return how long a run has been paused, in microseconds.

    Args:
        history: the events of the run itself, in order.
        since_us: count from this time on, in microseconds since the epoch.
    """
    total, paused_at = 0, None
    for _, envelope in history:
        if isinstance(envelope.event, TaskRunPaused):
            paused_at = max(envelope.at, since_us)
        elif isinstance(envelope.event, TaskRunRecovering) and paused_at is not None:
            total, paused_at = total + max(0, envelope.at - paused_at), None
    return total


class Deadlines:
    """Deadlines with the functions that they call.

    A function must not block. Deadlines cannot be taken back: a function that is no longer needed has to notice that
    itself, and do nothing.
    """

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._changed = Signal()

    def set_from(self, since_us: int, seconds: int, action: Callable[[], None]) -> int:
        """Call a function some seconds after a recorded time; return that deadline, in microseconds.

        A recorded time in the future comes from a clock that was wrong, and counts as now.

        Args:
            since_us: microseconds since the epoch.
            seconds: seconds after that.
            action: the function.
        """
        at_us = min(since_us, self._clock.now_us()) + seconds * 1_000_000
        self.set(at_us, action)
        return at_us

    def seconds_until(self, at_us: int) -> int:
        """Return the seconds until a deadline, rounded up; 0 if it has passed."""
        return -(-max(0, at_us - self._clock.now_us()) // 1_000_000)

    def set(self, at_us: int, action: Callable[[], None]) -> None:
        """Call a function at a time, or immediately if the time has passed.

        Args:
            at_us: microseconds since the epoch.
            action: the function.
        """
        heapq.heappush(self._heap, (at_us, next(self._order), action))
        if self._heap[0][0] == at_us:
            self._changed.notify()

    async def run(self) -> None:
        """Call the functions when they are due, until cancelled."""
        while True:
            changed = self._changed.next_event()
            seconds = self._call_due()
            with trio.move_on_after(seconds):
                await changed.wait()

    def _call_due(self) -> float:
        """Call the functions that are due; returns the seconds until the next deadline."""
        while self._heap:
            left = (self._heap[0][0] - self._clock.now_us()) / 1_000_000
            if left > 0:
                return min(left, MAX_SLEEP_SECONDS)
            heapq.heappop(self._heap)[2]()
        return MAX_SLEEP_SECONDS
