"""Reads and writes the log without blocking the server: every blocking call here is made in a worker thread.

The server's loop is uvicorn's. A verdict goes through the ledger, whose loop is trio's, so it gets a loop of its own
for as long as the log is open for writing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import trio
from anyio import to_thread

from ...core.errors import CommandRefusedError
from ...events.ids import TaskRunId
from ...projections.queries.runs.time_series import LogSeries, RunSeries
from ..composition.reviews import BatchResult, ReviewCommand, ReviewDecision, record_command, record_decisions
from ..log.sqlite.as_of import LogAsOf, open_as_of
from ..log.sqlite.reader import LogReader

#: Concurrent queries. One about an early position of a long log takes a whole processor.
READERS = 4

T = TypeVar("T")


class LogAccess:
    """Access to one log file for the pages."""

    def __init__(self, database: Path) -> None:
        """Take the path; the file is opened for each query."""
        self.database = database
        self._readers = anyio.CapacityLimiter(READERS)
        self._drawing = anyio.CapacityLimiter(1)
        self._writer = anyio.CapacityLimiter(1)
        self._series = LogSeries()

    async def query(self, answer: Callable[[LogAsOf], T], seq: int | None = None) -> T:
        """Call a function with the log as of a position, by default its end, and return the result.

        Raises:
            UnusableLogError, UnknownEntityError, DamagedLogError, UnknownEventError: as `open_as_of`; and whatever the
                function raises.
        """
        return await to_thread.run_sync(self._answer, answer, seq, limiter=self._readers)

    async def series(self, run: TaskRunId) -> RunSeries:
        """Return the history of a run's figures. Only events since the last call are read.

        Raises:
            LogError: the log cannot be read.
        """
        return await to_thread.run_sync(self._series_of, run, limiter=self._drawing)

    async def record_decisions(self, decisions: Sequence[ReviewDecision]) -> BatchResult:
        """Record verdicts one by one, until one is refused. They are recorded even if this call is cancelled.

        Raises:
            UnusableLogError: another process writes the log: the operator of a live run.
            LogError: it is unknown whether the last verdict was recorded.
        """
        record = partial(record_decisions, self.database, decisions)
        return await to_thread.run_sync(trio.run, record, limiter=self._writer)

    async def record_command(self, command: ReviewCommand) -> CommandRefusedError | None:
        """Carry out one command of a reviewer, even if this call is cancelled.

        Returns:
            The refusal, or None if the command was recorded.

        Raises:
            UnusableLogError, LogError: as `record_decisions`.
        """
        record = partial(record_command, self.database, command)
        return await to_thread.run_sync(trio.run, record, limiter=self._writer)

    def _answer(self, answer: Callable[[LogAsOf], T], seq: int | None) -> T:
        with open_as_of(self.database, seq=seq) as moment:
            return answer(moment)

    def _series_of(self, run: TaskRunId) -> RunSeries:
        with LogReader(self.database) as log:
            if log.head().seq < self._series.seq:
                # The file was replaced by another one.
                self._series = LogSeries()
            self._series.apply_events(log.read(self._series.seq))
        return self._series.run(run)
