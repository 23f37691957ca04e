"""Reads and writes the log without blocking the server: every blocking call here is made in a worker thread.

The server's loop is uvicorn's. A verdict goes to the operator, or through a ledger whose loop is trio's, so it gets a
loop of its own for as long as it takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import trio
from anyio import to_thread

from ...core.errors import CommandRefusedError
from ...core.operations.control.requests import AnyRequest, ReviewRequest
from ...events.ids import TaskRunId
from ...projections.queries.runs.progress import RunProgress
from ...projections.queries.runs.time_series import LogSeries, RunSeries
from ..control.abandoned import operator_problem
from ..control.client import open_control
from ..control.holder import LogHolder
from ..control.reviews import BatchResult, record_verdicts
from ..log.sqlite.as_of import LogAsOf, open_as_of
from ..log.sqlite.reader import LogReader

#: Seconds that a click waits for another process that has the log open.
WAIT_SECONDS = 10.0
#: Concurrent queries. One about an early position of a long log takes a whole processor.
READERS = 4
#: New events that are read for the charts of a page before it is sent: less than a tenth of a second's work.
FEW_EVENTS = 20_000

T = TypeVar("T")


class LogAccess:
    """Access to one log file for the pages."""

    def __init__(
        self, database: Path, author: str, wait_seconds: float = WAIT_SECONDS, few_events: int = FEW_EVENTS
    ) -> None:
        """Initialize; the file is opened for each query.

        Args:
            database: the log.
            author: who makes the decisions, as the log records it.
            wait_seconds: how long to wait for a process that has the log open.
            few_events: events that are read for the charts of a page before it is sent.
        """
        self.database = database
        self._few_events = few_events
        self._author = author
        self._wait_seconds = wait_seconds
        self._holder = LogHolder(database, wait_seconds=wait_seconds)
        self._readers = anyio.CapacityLimiter(READERS)
        self._computing = anyio.CapacityLimiter(1)
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

    async def compute(self, answer: Callable[[LogAsOf], T], seq: int | None = None) -> T:
        """Call a function that computes for long as `query` does, one after the other.

        Raises:
            UnusableLogError, UnknownEntityError, DamagedLogError, UnknownEventError: as `query`.
        """
        return await to_thread.run_sync(self._answer, answer, seq, limiter=self._computing)

    async def series(self, run: TaskRunId) -> RunSeries:
        """Return the history of a run's figures. Only events since the last call are read.

        Raises:
            LogError: the log cannot be read.
        """
        return await to_thread.run_sync(self._series_of, run, limiter=self._drawing)

    async def series_at_once(self, run: TaskRunId, head: int) -> RunSeries | None:
        """Return the history of a run's figures, or None if too many events have to be read first.

        Args:
            run: the run.
            head: the position of the last event.

        Raises:
            LogError: the log cannot be read.
        """
        return await self.series(run) if head - self._series.seq <= self._few_events else None

    def operator_problem(self, progress: RunProgress) -> str | None:
        """Return a sentence with the remedy if a run should have an operator and has none; else None.

        Blocks; for functions that `query` calls.
        """
        return operator_problem(
            self.database, progress.task_run_id, progress.status, is_held_here=self._holder.is_holding
        )

    def author_for(self, author: str) -> str:
        """Return the author of decisions, as the log records it; empty for whoever started the server."""
        return author or self._author

    async def record_verdicts(self, verdicts: Sequence[ReviewRequest], author: str) -> BatchResult:
        """Record verdicts; they are recorded even if this call is cancelled.

        Args:
            verdicts: the verdicts.
            author: who gives them; empty for whoever started the server.

        Raises:
            UnusableLogError: the log cannot be written.
            LogError: it is unknown whether the verdicts were recorded.
        """
        record = partial(
            record_verdicts, self.database, self.author_for(author), verdicts, limit_seconds=self._wait_seconds
        )
        return await to_thread.run_sync(self._write, record, limiter=self._writer)

    async def execute(
        self, request: AnyRequest, key: str | None = None, author: str | None = None
    ) -> CommandRefusedError | None:
        """Execute one request, even if this call is cancelled.

        Args:
            request: the request.
            key: idempotency key; a new one, unless given.
            author: who makes it; the reviewer, unless given.

        Returns:
            The refusal, or None if the request was executed.

        Raises:
            UnusableLogError, LogError: as `record_verdicts`.
        """
        return await to_thread.run_sync(self._write, partial(self._execute, request, key, author), limiter=self._writer)

    def close(self) -> None:
        """Close the log, if it is still open for writing."""
        self._holder.close()

    def _write(self, act: Callable[[], Awaitable[T]]) -> T:
        self._holder.ensure_writer()
        return trio.run(act)

    async def _execute(self, request: AnyRequest, key: str | None, author: str | None) -> CommandRefusedError | None:
        async with open_control(self.database, author or self._author, self._wait_seconds) as control:
            try:
                await control.execute(request, key)
            except CommandRefusedError as error:
                return error
        return None

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
