"""Stops a run in which nothing was handed in for too long: its workers cannot do it, or there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ....events.agent import AgentSubmitted
from ....events.envelope import RecordedEvent
from ...ports import WallClock
from ..task_code.deadlines import Deadlines


class SubmissionPatience:
    """Watches when something was last handed in in one run."""

    def __init__(self, clock: WallClock, seconds: int, stop: Callable[[str], None]) -> None:
        """Take the parts; the time counts from when the task that watches begins.

        Args:
            clock: the wall clock.
            seconds: how long nothing may come.
            stop: told why the run is to stop.
        """
        self._clock = clock
        self._seconds = seconds
        self._stop = stop
        self._deadlines = Deadlines(clock)
        self._last = 0

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """See whether something was handed in. For the run's subscription."""
        for recorded in events:
            if isinstance(recorded.envelope.event, AgentSubmitted):
                self._last = self._clock.now_us()

    async def run(self) -> None:
        """The task that watches. Runs until it is cancelled."""
        self._last = self._clock.now_us()
        self._look()
        await self._deadlines.run()

    def _look(self) -> None:
        due = self._last + self._seconds * 1_000_000
        if self._clock.now_us() < due:
            self._deadlines.set(due, self._look)
        else:
            self._stop(f"nothing was handed in for {self._seconds} s (mephisto.task.no_submission_patience)")
