"""Asks the operators of runs that are driven on other machines to pause or end them, or to ask their code again.

The request is an event of the run: that it drains, is paused or stops, or that newcomers get work again. Its operator
follows the log and acts on the request. When it has paused or ended the run, it gives it back, which notifies whoever
asked. An operator that is not heard of any more is waited for no longer.
"""

from __future__ import annotations

import trio

from ....events import streams
from ....events.ids import TaskRunId
from ...errors import CommandRefusedError
from ...ledger import Ledger
from ...lifecycles.task_run import ENDED_RUN_STATUSES, TaskRunStatus
from ...ports import Ids, RunHolder
from ..logger_core import get_logger
from ..run.record import RunRecord
from .owners import RunOwners

logger = get_logger(__name__)

_S = TaskRunStatus
#: Statuses in which an operator has done all that it was asked for.
_DONE = ENDED_RUN_STATUSES | {_S.PAUSED}


class RunsElsewhere:
    """The runs of a log that other operators drive."""

    def __init__(self, ledger: Ledger, ids: Ids, owners: RunOwners) -> None:
        """Keep the parts.

        Args:
            ledger: takes the requests, and has what the operators do.
            ids: source of ids.
            owners: knows which operator drives a run.
        """
        self._ledger = ledger
        self._record = RunRecord(ledger, ids)
        self._owners = owners

    async def pause(self, run: TaskRunId, reason: str, author: str, *, drain: bool) -> bool:
        """Have a run paused, and return when its operator has given it back.

        Args:
            run: the run.
            reason: recorded in the log, as is the author.
            author: who asked for it.
            drain: wait until nobody is at work, and give no work to newcomers meanwhile.

        Returns:
            False if no other operator drives it; nothing was done.

        Raises:
            CommandRefusedError: it is not live, has ended meanwhile, or its operator is not heard of any more.
        """
        holder = await self._owners.holder(run)
        if holder is None:
            return False
        if not drain:
            await self._record.pause_live(run, reason, author)
        elif self._status(run) is _S.LIVE:
            await self._record.drain(run, reason, author)
        self._check_asked(run, holder, (_S.PAUSED,) if not drain else (_S.LIVE, _S.PAUSED))
        await self._wait(run, holder)
        if self._status(run) in ENDED_RUN_STATUSES:
            raise CommandRefusedError(f"run {run} has ended before it was paused")
        if self._status(run) is not _S.PAUSED:
            raise CommandRefusedError(
                f"run {run} is not paused: its operator {holder.operator} is not heard of any more. Resume the run, "
                "and pause it then; `mephisto-es operators` shows who drives it"
            )
        return True

    async def end(self, run: TaskRunId, reason: str, author: str, *, at_once: bool) -> bool:
        """Have a run ended, and return when its operator has given it back.

        Args:
            run: the run.
            reason: recorded in the log, as is the author.
            author: who asked for it.
            at_once: take their work from the people at work, instead of waiting for them.

        Returns:
            False if no other operator drives it, or if it is not heard of any more; the caller can end it then.

        Raises:
            CommandRefusedError: it is not live.
        """
        holder = await self._owners.holder(run)
        if holder is None:
            return False
        await self._record.stop(run, reason, author, at_once=at_once)
        self._check_asked(run, holder, (_S.STOPPING, *ENDED_RUN_STATUSES))
        return await self._wait(run, holder)

    async def retry(self, run: TaskRunId, reason: str, author: str) -> bool | None:
        """Have newcomers of a run get work again, and its code asked about everybody whom it failed on.

        Args:
            run: the run.
            reason: recorded in the log, as is the author.
            author: who asked for it.

        Returns:
            None if no other operator drives it; False if no code had failed.

        Raises:
            CommandRefusedError: it has ended, or has no server yet.
        """
        if await self._owners.holder(run) is None:
            return None
        return await self._record.resume_admission(run, reason, author)

    def _status(self, run: TaskRunId) -> TaskRunStatus:
        return self._ledger.state.task_runs[streams.task_run(run)].status

    def _check_asked(self, run: TaskRunId, holder: RunHolder, statuses: tuple[TaskRunStatus, ...]) -> None:
        """Check that a run is in one of the statuses that a request leads to.

        Raises:
            CommandRefusedError: it is not, because it was not live.
        """
        status = self._status(run)
        if status not in statuses:
            raise CommandRefusedError(
                f"run {run} is {status.value!r} at {holder.operator}: it can be asked for this once it is live"
            )
        logger.info("the operator of the run was asked; waiting for it", run=run, operator=holder.operator)

    async def _wait(self, run: TaskRunId, holder: RunHolder) -> bool:
        """Wait until an operator drives a run no longer; return whether it has done what it was asked for."""
        given = self._owners.given.next_event()
        while (now := await self._owners.holder(run)) is not None and now.operator == holder.operator:
            with trio.move_on_after(now.wait_seconds):
                await given.wait()
            given = self._owners.given.next_event()
        await self._ledger.refresh()
        return self._status(run) in _DONE
