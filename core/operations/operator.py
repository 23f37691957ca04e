"""Launches task runs, watches over them, and shuts them down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Never, Self

import trio
from omegaconf import DictConfig

from ...events import streams
from ...events.ids import TaskRunId
from ..abstractions.blueprint import SharedTaskState
from ..abstractions.crowd.payments import payer_of
from ..decisions.task_run import admission_problem, resume_advice
from ..errors import CommandRefusedError, ConfigError, MephistoError, RunExistsError
from ..ledger import Ledger
from ..lifecycles.task_run import TaskRunStatus
from ..lifecycles.unit import UnitStatus
from ..ports import Ids, RunOwnership, WallClock
from .configuration.config_changes import log_setting_changes
from .configuration.task_config import RunConfig, complete_run_config
from .control.own_page_requests import OwnPageServices
from .launching.incomplete_runs import Ask, IncompleteRuns
from .launching.owners import RunOwners, SoleOperator
from .launching.runs_elsewhere import RunsElsewhere
from .logger_core import get_logger
from .run.awaited_calls import AwaitedCalls, must_be_awaited
from .run.driven_runs import DrivenRuns
from .run.driver import LiveRunDriver
from .run.live_task_run import LiveTaskRun
from .run.plan import RunEnding, RunPlan, plan_run, stored_config
from .run.quote import Quote, quote_of
from .run.record import RunRecord
from .run.site_terms import at_site_terms
from .services.directory import Directory
from .services.paymaster import Paymaster
from .services.reviewer import Reviewer

#: Seconds between two reports of a run's progress, unless a script says otherwise.
DEFAULT_LOG_RATE_SECONDS = 30.0

logger = get_logger(__name__)

#: Shows the quote of a run before it is launched; True: launch it.
ApproveQuote = Callable[[Quote], Awaitable[bool]]


class Operator:
    """Launches any number of runs and watches over their progress.

    `adapters.composition.operator.open_operator` makes it, and owns the nursery of its tasks.

    Attributes:
        ledger: executes commands and holds the state.
        calls: the calls of the methods that a launch script must await.
        failed_launches: the errors that `launch_task_run` only logged.
        runs: the runs that are live or being launched, and what ended them too early.
    """

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Refuse what Mephisto's scripts write, `Operator(db)`, with what to write instead.

        Raises:
            ConfigError: there is one argument only.
        """
        if len(args) + len(kwargs) == 1:
            raise ConfigError(
                "Operator(db) does not exist here: an operator owns tasks, which end with a block",
                key="Operator",
                hint="Decorate main with @task_script(...), which passes an operator, or write "
                "'async with open_operator(data_dir) as operator:'",
            )
        return super().__new__(cls)

    def __init__(
        self,
        ledger: Ledger,
        ids: Ids,
        clock: WallClock,
        runs_dir: Path,
        nursery: trio.Nursery,
        ask: Ask | None = None,
        approve_quote: ApproveQuote | None = None,
        own_pages: OwnPageServices | None = None,
        ownership: RunOwnership | None = None,
    ) -> None:
        """Keep the parts; nothing is started.

        Args:
            ledger: executes commands; its writer task is running.
            ids: source of ids, salts and tokens.
            clock: the wall clock.
            runs_dir: folder in which each run gets a folder.
            nursery: owns the tasks of the runs.
            ask: asks whether to resume a run that did not end; None if there is nobody to ask.
            approve_quote: shows what a new run will cost and decides whether to launch it; None launches every run.
            own_pages: what workers may do on their own pages; None if there are no files beside the log.
            ownership: says which operator drives a run; None if the log has no other operators.
        """
        self.ledger = ledger
        self._ids = ids
        self._clock = clock
        self._runs_dir = runs_dir
        self._nursery = nursery
        self._approve_quote = approve_quote
        self._own_pages = own_pages
        self._owners = RunOwners(ownership or SoleOperator())
        self.runs = DrivenRuns(self._owners)
        self._incomplete = IncompleteRuns(ledger, RunRecord(ledger, ids), self.runs, self._owners, ask)
        self._elsewhere = RunsElsewhere(ledger, ids, self._owners)
        self.failed_launches: list[MephistoError] = []
        self.calls = AwaitedCalls()

    @must_be_awaited
    async def launch_task_run(self, run_config: RunConfig, shared_state: SharedTaskState | None = None) -> str | None:
        """Launch a run; returns once workers can come. Failures are logged.

        Args:
            run_config: the `mephisto` section of a configuration, or a `MephistoConfig`.
            shared_state: callbacks and data that a configuration cannot hold.

        Returns:
            The run's id, or None if it could not be launched.
        """
        try:
            return await self.launch_task_run_or_die(run_config, shared_state)
        except MephistoError as error:
            logger.error(str(error))
            self.failed_launches.append(error)
            return None

    @must_be_awaited
    async def launch_task_run_or_die(self, run_config: RunConfig, shared_state: SharedTaskState | None = None) -> str:
        """Launch a run; returns once workers can come.

        If the task's last run is incomplete, it is resumed if `task.resume_incomplete_run` is true, or if the person
        who started the operator agrees. With `task.standby`, the operator that drives it is waited for; of several
        standbys that start at the same time one launches the run.

        Args:
            run_config: the `mephisto` section of a configuration, or a `MephistoConfig`.
            shared_state: callbacks and data that a configuration cannot hold.

        Returns:
            The run's id.

        Raises:
            ConfigError: the configuration is wrong; nothing was recorded.
            LaunchError: a step failed; everything acquired is released, and the run is recorded as failed.
        """
        run_config = complete_run_config(run_config)
        while True:
            try:
                return await self._launch_or_resume(run_config, shared_state)
            except RunExistsError as error:
                logger.info(f"{error.task_name!r} was just launched by another operator: waiting as its standby")

    async def _launch_or_resume(self, run_config: DictConfig, shared_state: SharedTaskState | None) -> str:
        previous = await self._incomplete.to_resume(run_config)
        known_runs = self._incomplete.known_to_standby(run_config)
        if previous is not None and self._incomplete.has_ended(previous):
            logger.info("another operator has ended the run; nothing is left to do", run=previous)
            return str(previous)
        plan = plan_run(run_config, shared_state, resumes=previous is not None)
        if previous is None:
            plan = replace(plan, known_runs=known_runs)
            return await self._launch(await self._check_quote(plan), None)
        log_setting_changes(self._incomplete.creation_of(previous), plan.config)
        return await self._launch(plan, previous)

    def validate_and_run_config(self, *_: object) -> Never:
        """Refuse: Mephisto has renamed it.

        Raises:
            ConfigError: always; the hint has the new name.
        """
        raise ConfigError(
            "validate_and_run_config is Mephisto's old name",
            key="validate_and_run_config",
            hint="Write: await operator.launch_task_run(cfg.mephisto, shared_state)",
        )

    async def _check_quote(self, plan: RunPlan) -> RunPlan:
        """Return the plan at the site's terms, once somebody has approved its quote, if there is anybody to look at it.

        Raises:
            ConfigError: it was not approved, or the account does not have the money.
        """
        plan, account = await at_site_terms(plan)
        if self._approve_quote is None:
            return plan
        quote = quote_of(plan, account)
        if not await self._approve_quote(quote):
            raise ConfigError(
                f"the launch was called off: the budget covers {quote.covered_units} of {quote.all_units} units",
                key="mephisto.task.budget",
                hint="Raise mephisto.task.budget, or lower the reward or the number of units",
            )
        return plan

    def find_previous_task_run(self, run_config: DictConfig) -> TaskRunId | None:
        """Return the last run of the configured task, if it can be resumed."""
        return self._incomplete.last_of(run_config)

    @must_be_awaited
    async def launch_from_incomplete_run(self, task_run: TaskRunId, shared_state: SharedTaskState | None = None) -> str:
        """Resume a run of an earlier process, with the configuration it was launched with.

        Args:
            task_run: the run.
            shared_state: the state that the script passed then; None if it passed none.

        Raises:
            UnknownEntityError: there is no such run.
            CommandRefusedError: the run has ended, never had a server, or needs the state that its script passed.
            ConfigError, LaunchError: as `launch_task_run_or_die`.
        """
        created = self._incomplete.creation_of(task_run)
        if shared_state is None and created.given_by_script:
            raise CommandRefusedError(
                f"run {task_run} needs what its launch script passed ({', '.join(created.given_by_script)}): "
                f"{resume_advice(created.given_by_script)}"
            )
        return await self._launch(plan_run(stored_config(created), shared_state, resumes=True), task_run)

    async def pause_run(self, task_run: TaskRunId, reason: str, author: str, *, drain: bool = False) -> None:
        """Pause a live run, here or at its operator on another machine. See `DrivenRuns.pause_run`."""
        is_here = self.runs.is_running(task_run)
        if is_here or not await self._elsewhere.pause(task_run, reason, author, drain=drain):
            await self.runs.pause_run(task_run, reason, author, drain=drain)

    async def end_run(self, task_run: TaskRunId, reason: str, author: str, *, at_once: bool = False) -> None:
        """End a run, live or not, here or at its operator on another machine, and return when it is completed.

        Raises: as `end_incomplete_run`; CommandRefusedError also if it was paused before it could end.
        """
        if self.runs.is_running(task_run):
            await self.runs.end_run(task_run, reason, author, at_once=at_once)
        elif not await self._elsewhere.end(task_run, reason, author, at_once=at_once):
            await self.end_incomplete_run(task_run, reason, author, at_once=at_once)
        if self.run_status(task_run) is not TaskRunStatus.COMPLETED:
            raise CommandRefusedError(f"run {task_run} was paused before it could end; its timeline says why")

    async def retry_run(self, task_run: TaskRunId, reason: str, author: str) -> bool:
        """Ask the code of a live run again, here or at its operator on another machine. See `DrivenRuns.retry`."""
        has_failed: bool | None = None
        if not self.runs.is_running(task_run):
            has_failed = await self._elsewhere.retry(task_run, reason, author)
        return await self.runs.retry(task_run, reason, author) if has_failed is None else has_failed

    async def end_incomplete_run(self, task_run: TaskRunId, reason: str, author: str, *, at_once: bool = False) -> None:
        """End a run of an earlier process, and return when it is completed.

        Its routers are connected, so that what they took from workers is not lost; nothing is read from its data, and
        nobody is given work. The arguments are those of `DrivenRuns.end_run`.

        Raises:
            UnknownEntityError: there is no such run.
            CommandRefusedError: the run has ended, or never had a server.
            ConfigError, LaunchError: as `launch_task_run_or_die`.
        """
        plan = plan_run(stored_config(self._incomplete.creation_of(task_run)), None, resumes=True, ends=True)
        await self._launch(plan, task_run, ending=RunEnding(reason, author, at_once))
        await self.runs.wait_until_ended(task_run)

    async def _launch(self, plan: RunPlan, previous: TaskRunId | None, ending: RunEnding | None = None) -> str:
        if self.runs.is_leaving:
            raise CommandRefusedError("the operator is leaving: it launches nothing more")
        if previous is not None:
            await self._owners.take(previous)
            await self.ledger.refresh()
            # Meanwhile it may have been resumed here, or ended anywhere.
            if self.runs.is_running(previous):
                if ending is None:
                    raise CommandRefusedError(f"run {previous} is already running")
                await self.runs.end_run(previous, ending.reason, ending.author, at_once=ending.at_once)
                return str(previous)
            self._incomplete.creation_of(previous)
        parts = self.ledger, self._ids, self._clock, self._runs_dir, plan, previous, self._own_pages, self._owners
        driver = LiveRunDriver(*parts)
        if ending is not None:
            driver.stop(ending.reason, author=ending.author, at_once=ending.at_once)
        self.runs.add(driver)
        live_run: LiveTaskRun = await self._nursery.start(self.runs.drive, driver)
        return str(live_run.task_run)

    def get_running_task_runs(self) -> dict[str, LiveTaskRun]:
        """Return the live runs, by id."""
        return {str(run): live_run for run, live_run in self.runs.live.items()}

    def reviewer(self) -> Reviewer:
        """Return a service that reviews work and decides about workers, also while runs are live."""
        return Reviewer(self.ledger, self._ids)

    def directory(self) -> Directory:
        """Return a service that registers tasks, requesters, workers and qualifications, also while runs are live."""
        return Directory(self.ledger, self._ids)

    def paymaster(self, live_run: LiveTaskRun) -> Paymaster:
        """Return a service that pays what a run owes, through its crowd provider, also while the run is live.

        Raises:
            ConfigError: the provider cannot pay workers.
        """
        return Paymaster(self.ledger, self._ids, payer_of(live_run.provider))

    def print_run_details(self) -> None:
        """Log the progress of each live run."""
        for run in self.runs.live:
            index = self.ledger.state.runs[run]
            counts = {status.value: index.units_by_status.get(status, 0) for status in UnitStatus}
            logger.info("run", run=run, agents=len(index.live_agents), **{k: v for k, v in counts.items() if v})
            if problem := admission_problem(self.ledger.state.task_runs[streams.task_run(run)]):
                logger.warning(problem, run=run)

    @must_be_awaited
    async def wait_for_runs_then_shutdown(
        self,
        skip_input: bool = False,  # noqa: ARG002 - nothing is ever asked
        log_rate: float | None = DEFAULT_LOG_RATE_SECONDS,
    ) -> None:
        """Wait until all runs have ended or are paused.

        SIGTERM pauses all runs at once. The first Ctrl-C stops giving out work, waits for the people at work, and then
        pauses; the second takes their work away and pauses; the third exits immediately. Nothing is lost by any of
        them: the same script continues the runs, or `mephisto-es resume` if the script passes nothing.

        Args:
            skip_input: ignored; Mephisto's scripts pass it.
            log_rate: seconds between two progress reports; None for no reports.

        Raises:
            LaunchError: a run failed; the others have ended too.
            KeyboardInterrupt: the third Ctrl-C.
        """
        async with trio.open_nursery() as nursery:
            if not self.runs.watches_signals:
                nursery.start_soon(self.runs.watch_signals)
            if log_rate is not None:
                nursery.start_soon(self._report, log_rate)
            await self.runs.wait_until_all_ended()
            nursery.cancel_scope.cancel()
        failures, self.runs.failures = self.runs.failures, []
        if failures:
            raise failures[0]

    async def _report(self, seconds: float) -> None:
        while True:
            await trio.sleep(seconds)
            self.print_run_details()

    async def pause(self, reason: str) -> None:
        """Pause all runs, and return when that is recorded; nothing more is launched.

        Their units stay open and their agents keep their work until the runs are resumed.
        """
        self.runs.is_leaving = True
        self.runs.pause_all(reason)
        await self.runs.wait_until_all_ended()

    @must_be_awaited
    async def shutdown(self, skip_input: bool = True) -> None:  # noqa: ARG002 - nothing is ever asked
        """End all runs: give out no more work, wait for the people at work, expire what is open, release everything.

        While the operator is pausing its runs because of a signal, it only waits for that.
        """
        if not self.runs.is_leaving:
            self.runs.stop_all("the operator was shut down")
        await self.runs.wait_until_all_ended()

    @must_be_awaited
    async def force_shutdown(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - Mephisto's name
        """End all runs, and take the work from the people at it. Unlike `end_run`, this waits for no late work.

        Args:
            timeout: seconds to release everything; the rest stays in the log, to be released later.
        """
        self.runs.stop_all("the operator was shut down at once", at_once=True, late_work_seconds=0)
        with trio.move_on_after(timeout):
            await self.runs.wait_until_all_ended()

    @must_be_awaited
    async def retry(self, task_run: TaskRunId) -> None:
        """Give work to newcomers of a live run again, and ask its code about everybody whom it failed on.

        Raises:
            CommandRefusedError: the run is not live here.
        """
        await self.runs.retry(task_run, "the operator was asked to")

    def run_status(self, run: TaskRunId) -> TaskRunStatus:
        """Return the status of a run, live or not.

        Raises:
            UnknownEntityError: there is no such run.
        """
        return self.ledger.state.task_runs[streams.task_run(run)].status
