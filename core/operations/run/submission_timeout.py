"""Stops a run in which nothing was submitted for too long: its workers cannot do it, or there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ....events.agent import AgentSubmitted
from ....events.envelope import RecordedEvent
from ...ports import WallClock
from ..task_code.deadlines import Deadlines


class SubmissionTimeout:
    """Watches the time since the last submission in one run."""

    def __init__(self, clock: WallClock, seconds: int, stop: Callable[[str], None]) -> None:
        """Keep the parts; the time counts from the start of `run`.

        Args:
            clock: the wall clock.
            seconds: seconds without a submission after which the run stops.
            stop: called with the reason.
        """
        self._clock = clock
        self._seconds = seconds
        self._stop = stop
        self._deadlines = Deadlines(clock)
        self._last = 0

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Note the time of submissions among durable events of the run."""
        for recorded in events:
            if isinstance(recorded.envelope.event, AgentSubmitted):
                self._last = self._clock.now_us()

    async def run(self) -> None:
        """Watch until cancelled."""
        self._last = self._clock.now_us()
        self._check()
        await self._deadlines.run()

    def _check(self) -> None:
        due = self._last + self._seconds * 1_000_000
        if self._clock.now_us() < due:
            self._deadlines.set(due, self._check)
        else:
            self._stop(f"nothing was submitted for {self._seconds} s (mephisto.task.no_submission_patience)")
