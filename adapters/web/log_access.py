"""Asking the log, and writing to it, while the server goes on: all calls here that block are made in worker threads.

The server's loop is uvicorn's. A verdict goes through the ledger, whose loop is trio; so it gets a loop of its own,
for as long as the log is open for writing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import anyio
import trio
from anyio import to_thread

from ...core.decisions.review import Verdict
from ...core.errors import CommandRefusedError
from ...core.operations.services.reviewer import Reviewer
from ...events.ids import AgentId, TaskRunId
from ...projections.queries.runs.time_series import LogSeries, RunSeries
from ..composition.ledger import open_ledger
from ..log.sqlite.as_of import LogAsOf, open_as_of
from ..log.sqlite.reader import LogReader

#: Questions that are answered at a time; one about a past moment of a long log takes a whole processor.
READERS = 4

T = TypeVar("T")


class Decided(NamedTuple):
    """A verdict that is to be recorded."""

    agent: AgentId
    verdict: Verdict
    note: str | None
    bonus_cents: int


class BatchResult(NamedTuple):
    """What became of some verdicts."""

    number: int
    #: Why the one after these was refused, and none after it was tried; None: all were recorded.
    refused: str | None


class LogAccess:
    """One log file, asked by the pages."""

    def __init__(self, database: Path) -> None:
        """Take the file; it is opened anew for each question."""
        self.database = database
        self._readers = anyio.CapacityLimiter(READERS)
        self._drawing = anyio.CapacityLimiter(1)
        self._writer = anyio.CapacityLimiter(1)
        self._series = LogSeries()

    async def ask(self, answer: Callable[[LogAsOf], T], seq: int | None = None) -> T:
        """Have a question answered as of a position; the head, unless given.

        Raises:
            UnusableLogError, UnknownEntityError, DamagedLogError, UnknownEventError:
                as `open_as_of`; and whatever the answer raises.
        """
        return await to_thread.run_sync(self._answer, answer, seq, limiter=self._readers)

    async def series(self, run: TaskRunId) -> RunSeries:
        """How a run went until now; only what came since the last call is read.

        Raises:
            LogError: the log cannot be read.
        """
        return await to_thread.run_sync(self._series_of, run, limiter=self._drawing)

    async def record(self, decided: Sequence[Decided]) -> BatchResult:
        """Record verdicts, one after the other, until one is refused.

        A call that is cancelled leaves the verdicts to be recorded.

        Raises:
            UnusableLogError: another process writes the log: the operator, while a run goes on.
            LogError: nobody knows whether the last one was recorded.
        """
        return await to_thread.run_sync(trio.run, partial(_record, self.database, decided), limiter=self._writer)

    async def decide(self, carry_out: Callable[[Reviewer], Awaitable[object]]) -> str | None:
        """Have a reviewer's wish carried out, in one command.

        A call that is cancelled leaves the wish to be carried out.

        Returns:
            Why it was refused; None: it is recorded.

        Raises:
            UnusableLogError: another process writes the log: the operator, while a run goes on.
            LogError: nobody knows whether it was recorded.
        """
        return await to_thread.run_sync(trio.run, partial(_decide, self.database, carry_out), limiter=self._writer)

    def _answer(self, answer: Callable[[LogAsOf], T], seq: int | None) -> T:
        with open_as_of(self.database, seq=seq) as moment:
            return answer(moment)

    def _series_of(self, run: TaskRunId) -> RunSeries:
        with LogReader(self.database) as log:
            if log.head().seq < self._series.seq:
                # Another file was put in its place.
                self._series = LogSeries()
            self._series.apply_events(log.read(self._series.seq))
        return self._series.run(run)


async def _decide(database: Path, carry_out: Callable[[Reviewer], Awaitable[object]]) -> str | None:
    async with open_ledger(database) as (ledger, ids):
        try:
            await carry_out(Reviewer(ledger, ids))
        except CommandRefusedError as error:
            return str(error)
    return None


async def _record(database: Path, decided: Sequence[Decided]) -> BatchResult:
    async with open_ledger(database) as (ledger, ids):
        reviewer = Reviewer(ledger, ids)
        for number, one in enumerate(decided):
            try:
                await reviewer.give_verdict(one.agent, one.verdict, one.note, one.bonus_cents)
            except CommandRefusedError as error:
                return BatchResult(number, str(error))
    return BatchResult(len(decided), None)
