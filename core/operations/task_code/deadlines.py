"""Calls functions at wall-clock deadlines, from one task."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from itertools import count
from typing import NamedTuple

import trio

from ....events.envelope import RecordedEvent
from ....events.task_run import TaskRunPaused, TaskRunRecovering
from ...ports import WallClock
from ...signal import Signal

#: Maximum seconds between two readings of the wall clock, so that a clock that is set forward is noticed.
MAX_SLEEP_SECONDS = 3600.0
#: Cancelled deadlines that are kept however few others there are.
MOST_CANCELLED = 64


def paused_us(history: Iterable[RecordedEvent], since_us: int, until_us: int | None = None) -> int:
    """Return how long a run has been paused, in microseconds.

    Args:
        history: the events of the run itself, in order.
        since_us: count from this time on, in microseconds since the epoch.
        until_us: count up to this time; None: to the end of the history.
    """
    total, paused_at = 0, None
    for _, envelope in history:
        if isinstance(envelope.event, TaskRunPaused):
            paused_at = max(envelope.at, since_us)
        elif isinstance(envelope.event, TaskRunRecovering) and paused_at is not None:
            resumed_at = envelope.at if until_us is None else min(envelope.at, until_us)
            total, paused_at = total + max(0, resumed_at - paused_at), None
    if until_us is not None and paused_at is not None:
        total += max(0, until_us - paused_at)
    return total


class Deadline(NamedTuple):
    """A time at which a function is called."""

    #: Microseconds since the epoch.
    at_us: int
    #: Tells deadlines at the same time apart.
    number: int


class Deadlines:
    """Deadlines with the functions that they call. A function must not block."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        #: Those that were cancelled stay here until they are due, or most are.
        self._heap: list[Deadline] = []
        self._actions: dict[int, Callable[[], None]] = {}
        self._order = count()
        self._changed = Signal()

    def __len__(self) -> int:
        return len(self._heap)

    def set_from(self, since_us: int, seconds: int, action: Callable[[], None]) -> Deadline:
        """Call a function some seconds after a recorded time.

        A recorded time in the future comes from a clock that was wrong, and counts as now.

        Args:
            since_us: microseconds since the epoch.
            seconds: seconds after that.
            action: the function.
        """
        return self.set(min(since_us, self._clock.now_us()) + seconds * 1_000_000, action)

    def seconds_until(self, at_us: int) -> int:
        """Return the seconds until a time, rounded up; 0 if it has passed."""
        return -(-max(0, at_us - self._clock.now_us()) // 1_000_000)

    def set(self, at_us: int, action: Callable[[], None]) -> Deadline:
        """Call a function at a time, or immediately if the time has passed.

        Args:
            at_us: microseconds since the epoch.
            action: the function.
        """
        deadline = Deadline(at_us, next(self._order))
        self._actions[deadline.number] = action
        heapq.heappush(self._heap, deadline)
        if self._heap[0] is deadline:
            self._changed.notify()
        return deadline

    def cancel(self, deadline: Deadline) -> None:
        """Call nothing at a deadline; one that has passed stays as it is."""
        self._actions.pop(deadline.number, None)
        if len(self._heap) > 2 * len(self._actions) + MOST_CANCELLED:
            self._heap = [one for one in self._heap if one.number in self._actions]
            heapq.heapify(self._heap)

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
            left = (self._heap[0].at_us - self._clock.now_us()) / 1_000_000
            if left > 0:
                return min(left, MAX_SLEEP_SECONDS)
            action = self._actions.pop(heapq.heappop(self._heap).number, None)
            if action is not None:
                action()
        return MAX_SLEEP_SECONDS
