"""Finds the run that a launch is meant to continue, if it is meant to continue one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from omegaconf import DictConfig

from ....events import streams
from ....events.ids import TaskRunId
from ....events.task_run import TaskRunCreated
from ...errors import CommandRefusedError, ConfigError
from ...ledger import Ledger
from ...lifecycles.task_run import ENDED_RUN_STATUSES, RESUMABLE_RUN_STATUSES
from ...lifecycles.unit import DONE_UNIT_STATUSES
from ..run.driven_runs import DrivenRuns
from ..run.plan import task_name
from .owners import RunOwners

#: Asks the person who started the operator; returns True for yes.
Ask = Callable[[str], Awaitable[bool]]


class IncompleteRuns:
    """The runs of a log that were launched and have not ended."""

    def __init__(self, ledger: Ledger, runs: DrivenRuns, owners: RunOwners, ask: Ask | None) -> None:
        """Keep the parts.

        Args:
            ledger: knows all runs.
            runs: the runs of this operator.
            owners: takes runs for this operator.
            ask: asks whether to resume a run; None if there is nobody to ask.
        """
        self._ledger = ledger
        self._runs = runs
        self._owners = owners
        self._ask = ask

    def last_of(self, run_config: DictConfig) -> TaskRunId | None:
        """Return the last run of the configured task, if it can be resumed."""
        state = self._ledger.state
        task = state.tasks_by_name.get(task_name(run_config))
        runs = [run for run in state.task_runs.values() if run.task == task]
        last = runs[-1] if runs else None
        return last.task_run if last and last.status in RESUMABLE_RUN_STATUSES else None

    async def to_resume(self, run_config: DictConfig) -> TaskRunId | None:
        """Return the run that is meant to be resumed; None if a new one is meant.

        A standby returns once the operator of the run is gone, or has ended the run.

        Raises:
            ConfigError: the last run is incomplete, and neither the configuration nor a person says what to do.
            CommandRefusedError: the wait of a standby was called off.
        """
        await self._ledger.refresh()
        run, resume = self.last_of(run_config), run_config.task.resume_incomplete_run
        if run is not None and run_config.task.standby and not self._runs.is_running(run):
            await self._owners.take(run, is_standby=True)
            await self._ledger.refresh()
            return run
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
