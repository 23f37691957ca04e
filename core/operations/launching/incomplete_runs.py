"""Finds the run that a launch is meant to continue, if it is meant to continue one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from omegaconf import DictConfig

from ....events import streams
from ....events.ids import TaskRunId
from ....events.task_run import TaskRunCreated, TaskRunFailed
from ...errors import CommandRefusedError, ConfigError
from ...ledger import Ledger
from ...lifecycles.task_run import ENDED_RUN_STATUSES, RESUMABLE_RUN_STATUSES, TaskRunState, TaskRunStatus
from ...lifecycles.unit import DONE_UNIT_STATUSES
from ..run.driven_runs import DrivenRuns
from ..run.plan import task_name
from ..run.record import RunRecord
from .owners import RunOwners

#: Asks the person who started the operator; returns True for yes.
Ask = Callable[[str], Awaitable[bool]]


class IncompleteRuns:
    """The runs of a log that were launched and have not ended."""

    def __init__(self, ledger: Ledger, record: RunRecord, runs: DrivenRuns, owners: RunOwners, ask: Ask | None) -> None:
        """Keep the parts.

        Args:
            ledger: knows all runs.
            record: records what became of a run.
            runs: the runs of this operator.
            owners: takes runs for this operator.
            ask: asks whether to resume a run; None if there is nobody to ask.
        """
        self._ledger = ledger
        self._record = record
        self._runs = runs
        self._owners = owners
        self._ask = ask

    def last_of(self, run_config: DictConfig) -> TaskRunId | None:
        """Return the last run of the configured task, if it can be resumed."""
        last = self._last_of(run_config)
        return last.task_run if last and last.status in RESUMABLE_RUN_STATUSES else None

    def known_to_standby(self, run_config: DictConfig) -> int | None:
        """Return the number of runs of the configured task, if it matters because this operator is a standby."""
        return len(self._ledger.state.runs_of(task_name(run_config))) if run_config.task.standby else None

    async def to_resume(self, run_config: DictConfig) -> TaskRunId | None:
        """Return the run that is meant to be resumed; None if a new one is meant.

        A standby returns once the operator of the run is gone, or has ended the run. A run whose launch came to
        nothing is not resumed: the standby launches a new one.

        Raises:
            ConfigError: the last run is incomplete, and neither the configuration nor a person says what to do.
            CommandRefusedError: the wait of a standby was called off.
        """
        await self._ledger.refresh()
        if run_config.task.standby:
            while (last := self._last_of(run_config)) is None or not self._runs.is_running(last.task_run):
                if last is None or last.status in ENDED_RUN_STATUSES:
                    return None
                if (taken := await self._taken_over(last.task_run)) is not None:
                    return taken
                # Its launch came to nothing. Another standby may have launched a run since: that one is waited for.
        run, resume = self.last_of(run_config), run_config.task.resume_incomplete_run
        if run is None or resume is False or (self._runs.is_running(run) and not resume):
            return None
        if resume:
            return run
        by_status = self._ledger.state.runs[run].units_by_status
        done, units = sum(by_status.get(status, 0) for status in DONE_UNIT_STATUSES), sum(by_status.values())
        sentence = f"run {run} of {task_name(run_config)!r} is incomplete: {done} of {units} units are done"
        if self._ask is None:
            raise ConfigError(
                sentence,
                key="mephisto.task.resume_incomplete_run",
                hint="Set mephisto.task.resume_incomplete_run to true to resume it, or to false to launch a new run",
            )
        return run if await self._ask(f"{sentence}. Resume it?") else None

    async def _taken_over(self, run: TaskRunId) -> TaskRunId | None:
        """Wait until a run has no operator, and return it, unless its launch came to nothing.

        Raises:
            CommandRefusedError: the wait was called off.
        """
        await self._owners.take(run, is_standby=True)
        await self._ledger.refresh()
        status = self._ledger.state.task_runs[streams.task_run(run)].status
        if status in RESUMABLE_RUN_STATUSES:
            return run
        if status not in ENDED_RUN_STATUSES:
            gone = TaskRunFailed(step="launch", reason="its operator was gone before workers could come")
            await self._record.record_event(run, gone)
        await self._owners.give(run)
        return run if status is TaskRunStatus.COMPLETED else None

    def _last_of(self, run_config: DictConfig) -> TaskRunState | None:
        """Return the last run of the configured task, whatever became of it."""
        runs = self._ledger.state.runs_of(task_name(run_config))
        return self._ledger.state.task_runs[streams.task_run(runs[-1])] if runs else None

    def has_ended(self, run: TaskRunId) -> bool:
        """Return whether a run has been completed, or has failed, so that there is nothing to resume."""
        return self._ledger.state.task_runs[streams.task_run(run)].status in ENDED_RUN_STATUSES

    def creation_of(self, run: TaskRunId) -> TaskRunCreated:
        """Return the creation of a run that can be resumed.

        Raises:
            UnknownEntityError, CommandRefusedError: there is no such run, or it cannot be resumed.
        """
        state = self._ledger.state.task_runs[streams.task_run(run)]
        if state.status not in RESUMABLE_RUN_STATUSES:
            rest = "; `mephisto-es reopen` puts back what expired" if state.status in ENDED_RUN_STATUSES else ""
            raise CommandRefusedError(f"run {run} is {state.status.value!r}: it cannot be resumed{rest}")
        created = self._ledger.log.history(streams.task_run(run))[0].envelope.event
        if not isinstance(created, TaskRunCreated):
            raise CommandRefusedError(f"the configuration of run {run} was not recorded")
        return created
