"""Takes runs for an operator, and waits for those that another one drives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio

from ....events.ids import TaskRunId
from ...errors import CommandRefusedError, LogError
from ...ports import RunHolder, RunOwnership
from ...signal import Signal
from ..logger_core import get_logger

#: Seconds that the log has to record that a run has no operator any more; otherwise its lease ends by itself.
GIVE_SECONDS = 2.0

logger = get_logger(__name__)


class SoleOperator:
    """The ownership of runs in a log that has one operator: all runs are its own."""

    def __init__(self) -> None:
        #: Never notified.
        self.given = Signal()

    async def take(self, _run: TaskRunId, /) -> RunHolder | None:
        """Return None."""
        return None

    async def holder(self, _run: TaskRunId, /) -> RunHolder | None:
        """Return None."""
        return None

    async def give(self, _run: TaskRunId, /) -> None:
        """Do nothing."""


class RunOwners:
    """Takes and gives the runs of one operator."""

    def __init__(self, ownership: RunOwnership) -> None:
        self._ownership = ownership
        self._waits: set[trio.CancelScope] = set()

    async def take(self, run: TaskRunId, *, is_standby: bool = False) -> None:
        """Become the operator that drives a run.

        If another operator drives it, that one may have died a moment ago. So it is waited for until it is heard of
        again, or its lease is over.

        Args:
            run: the run.
            is_standby: also wait while the other operator lives.

        Raises:
            CommandRefusedError: another operator drives it, or the wait was called off.
            LogError: the log cannot be asked.
        """
        given = self.given.next_event()
        first = holder = await self._ownership.take(run)
        if first is not None:
            logger.info(
                "another operator drives the run; waiting until it does no longer"
                if is_standby
                else "another operator drives the run; waiting whether it is heard of",
                run=run,
                operator=first.operator,
            )
        while first is not None and holder is not None:
            if holder.operator != first.operator:
                first = holder
            if holder.heard_at_us > first.heard_at_us and not is_standby:
                raise CommandRefusedError(
                    f"run {run} is driven by another operator, {holder.operator}: pause it there first, or set "
                    "mephisto.task.standby to true to wait and take over when it is gone"
                )
            with self._interruptible() as wait, trio.move_on_after(holder.wait_seconds):
                await given.wait()
            if wait.cancelled_caught:
                raise CommandRefusedError(f"no longer waiting for run {run}, which {holder.operator} drives")
            given = self.given.next_event()
            holder = await self._ownership.take(run)
        if first is not None:
            logger.warning("taking over the run", run=run, operator=first.operator)

    @property
    def given(self) -> Signal:
        """Notified when an operator has given something back, and at other times."""
        return self._ownership.given

    async def holder(self, run: TaskRunId) -> RunHolder | None:
        """Return the other operator that drives a run and lives; None: there is none.

        Raises:
            LogError: the log cannot be asked.
        """
        return await self._ownership.holder(run)

    async def give(self, run: TaskRunId) -> None:
        """Drive a run no longer."""
        with trio.move_on_after(GIVE_SECONDS) as giving, suppress(LogError):
            giving.shield = True
            await self._ownership.give(run)

    def stop_waiting(self) -> None:
        """End all waits for other operators; `take` raises."""
        for wait in self._waits:
            wait.cancel()

    @contextmanager
    def _interruptible(self) -> Iterator[trio.CancelScope]:
        with trio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                yield scope
            finally:
                self._waits.discard(scope)
