"""Drives one run from its launch to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trio

from ....events import streams
from ....events.envelope import RecordedEvent
from ....events.ids import TaskRunId
from ....events.task_run import TaskRunDeployed, TaskRunFailed, TaskRunPrepared, TaskRunRecovering, TaskRunWentLive
from ...abstractions.architect import ArchitectContext
from ...abstractions.blueprint import AssignmentData
from ...abstractions.resources import Resources
from ...errors import LaunchError, LogError, MephistoError
from ...ledger import Ledger
from ...lifecycles.task_run import OPEN_RUN_STATUSES
from ...ports import Ids, WallClock
from ...redaction import redacted_text
from ...signal import Signal
from ..agent_pages import AgentPages
from ..client_io_handler import ClientIOHandler
from ..logger_core import get_logger, log_ids
from ..run_context import RunContext
from ..services.directory import Directory
from ..task_launcher import TaskLauncher
from ..worker_pool import WorkerPool
from .live_task_run import LiveTaskRun
from .plan import RunPlan
from .record import RunRecord
from .restart import parts_to_resume
from .server import RunServer, launch_step
from .submission_timeout import SubmissionTimeout

#: Seconds in which a run that fails or is cancelled must have released what it holds outside.
RELEASE_SECONDS = 30.0
#: Seconds that workers are kept waiting for the first units of a run whose data is slow.
FIRST_UNITS_SECONDS = 5.0
#: Seconds that task code has at the end of a run to finish after the last submission.
CODE_SECONDS = 30.0
#: The same if the run must end immediately.
SHORT_CODE_SECONDS = 5.0
#: Reason for which a run stops, and its units expire, when its budget is used up.
OUT_OF_BUDGET = "budget"

logger = get_logger(__name__)


class LiveRunDriver:
    """Takes a plan through all the steps of a run.

    Attributes:
        task_run: the run; None until it is recorded.
        is_live: True once workers were let in, for good.
    """

    def __init__(
        self,
        ledger: Ledger,
        ids: Ids,
        clock: WallClock,
        runs_dir: Path,
        plan: RunPlan,
        resumed: TaskRunId | None = None,
    ) -> None:
        """Keep the parts; nothing is started.

        Args:
            ledger: takes the commands.
            ids: source of ids and salts.
            clock: the wall clock.
            runs_dir: folder in which each run gets a folder.
            plan: the run to launch.
            resumed: a run of an earlier process to resume; None for a new run.
        """
        self._resumed = self.task_run = resumed
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._runs_dir = runs_dir
        self._plan = plan
        self._record = RunRecord(ledger, ids)
        self._timeout = SubmissionTimeout(clock, plan.settings.no_submission_patience, self.stop)
        self._stopping: str | None = None
        self._at_once = False
        self._lost: LaunchError | None = None
        self._changed = Signal()
        #: Called at the end, the last first.
        self._releases: list[Callable[[], Awaitable[None]]] = []
        #: Called with the reason when the run fails.
        self._on_failure: list[Callable[[str], Awaitable[None]]] = []
        self.is_live = False

    def stop(self, reason: str, *, at_once: bool = False) -> None:
        """Stop giving out work, and end the run.

        Args:
            reason: recorded in the log.
            at_once: take their work from the agents, instead of waiting for them.
        """
        self._stopping = self._stopping or reason
        self._at_once = self._at_once or at_once
        self._changed.notify()

    async def drive(self, on_live: Callable[[LiveTaskRun], None]) -> None:
        """Launch the run, watch over it, and end it.

        Everything acquired is released before this returns or raises, in reverse order. On cancellation everything
        stays as it is: the log knows what exists, so the run can be resumed. The same holds when resuming a run of an
        earlier process fails: the attempt must not lose anything.

        Args:
            on_live: called once workers can come.

        Raises:
            LaunchError: a step failed; a run that is new, or was live, is recorded as failed.
            LogError: the log accepts nothing more; nothing could be recorded.
        """
        run = self.task_run = await self._begin()
        with log_ids(run=run):
            failure: LaunchError | None = None
            try:
                await self._launch_and_watch(run, on_live)
            except BaseExceptionGroup as group:
                failure = _failure_of(group)
                if failure is None:
                    raise
                if self._resumed is not None and not self.is_live:
                    raise failure from group
                for act in self._on_failure:
                    await act(str(failure))
            await self._release()
            if failure is not None:
                await self._record.record_event(
                    run, TaskRunFailed(step=failure.step, reason=redacted_text(str(failure)))
                )
                raise failure
            await self._record.complete(run)
            logger.info("the run is completed")

    # Launching ------------------------------------------------------------------------------------------------------

    async def _begin(self) -> TaskRunId:
        """Record a new run, or that this process resumes one."""
        if self._resumed is None:
            return await self._record.create(self._plan)
        await self._record.record_event(self._resumed, TaskRunRecovering(reason="resumed by another operator process"))
        return self._resumed

    async def _launch_and_watch(self, run: TaskRunId, on_live: Callable[[LiveTaskRun], None]) -> None:
        async with trio.open_nursery() as nursery:
            context = self._make_context(run, nursery)
            data = context.blueprint.get_initialization_data()
            self._releases.append(context.architect.shutdown)
            url = await self._bring_up_server(context)
            await Directory(self._ledger, self._ids).find_or_create_qualifications(context.qualification_names)
            live_run = self._assemble(context, url, data)
            self._on_failure.append(partial(self._end_everyone, live_run))
            # Left before the nursery is closed: whatever follows durable events starts tasks in it.
            with self._following(live_run):
                await self._go_live(live_run)
                self.is_live = True
                on_live(live_run)
                await self._watch(live_run)
                await live_run.client_io.drain(at_once=self._at_once)
                await self._let_code_end(live_run)
                await live_run.client_io.shutdown()
            nursery.cancel_scope.cancel()

    def _make_context(self, run: TaskRunId, nursery: trio.Nursery) -> RunContext:
        plan, resources = self._plan, Resources(self._ledger, self._ids, run)
        build_dir = self._runs_dir / str(run)
        blueprint = plan.blueprint_class(plan.config, plan.shared_state)
        return RunContext(
            task_run=run,
            config=plan.config,
            settings=plan.settings,
            blueprint=blueprint,
            architect=plan.architect_class(ArchitectContext(plan.config, plan.shared_state, run, build_dir, resources)),
            provider=plan.provider_class(plan.config, plan.shared_state, resources),
            qualifications=plan.qualifications,
            task_runner=blueprint.make_task_runner(),
            nursery=nursery,
        )

    async def _bring_up_server(self, context: RunContext) -> str:
        """Deploy the server, unless an earlier process of the run left one that still works.

        Returns:
            The server's URL.
        """
        server = RunServer(context)
        url = None if self._resumed is None else await server.resume(self._ledger.state)
        if url is not None:
            return url
        await server.prepare()
        if self._resumed is None:
            await self._record.record_event(context.task_run, TaskRunPrepared())
        url = await server.deploy()
        await self._record.record_event(context.task_run, TaskRunDeployed(url=url))
        return url

    def _assemble(self, context: RunContext, url: str, data: AssignmentData) -> LiveTaskRun:
        ledger, ids = self._ledger, self._ids
        launcher = TaskLauncher(
            ledger,
            ids,
            context.task_run,
            data,
            pay_cents=context.settings.task_reward_cents,
            max_num_concurrent_units=context.settings.max_num_concurrent_units,
            max_repeats=context.task_runner.max_repeats,
            max_item_bytes=context.settings.max_item_bytes,
            concurrent=context.task_runner.is_concurrent,
        )
        pages = AgentPages(context.task_run, ledger)
        pool = WorkerPool(context, ledger, ids, self._clock, launcher, pages)
        client_io = ClientIOHandler(context, ledger, ids, pool, pages, self._on_channel_lost)
        return LiveTaskRun(context, url, launcher, pool, client_io)

    @contextmanager
    def _following(self, live_run: LiveTaskRun) -> Iterator[None]:
        """Resume the run's parts from the log, and keep them up to date with durable events."""
        for part in parts_to_resume(live_run):
            part.resume()
        unsubscribe = self._ledger.subscribe(partial(self._on_committed, live_run))
        try:
            yield
        finally:
            unsubscribe()

    async def _go_live(self, live_run: LiveTaskRun) -> None:
        """Connect the routers, offer the first units, publish the run at its provider, and let workers in."""
        launcher, provider, nursery = live_run.task_launcher, live_run.provider, live_run.context.nursery
        with launch_step("channels"):
            await live_run.client_io.launch_channels()
        await self._record.record_event(live_run.task_run, TaskRunWentLive())
        nursery.start_soon(launcher.create_assignments)
        nursery.start_soon(launcher.launch_units, live_run.url)
        with trio.move_on_after(FIRST_UNITS_SECONDS):
            await launcher.wait_for_offer()
        self._releases.append(provider.cleanup_resources_from_task_run)
        with launch_step("provider"):
            await provider.setup_resources_for_task_run(live_run.url)
        nursery.start_soon(live_run.architect.watch_over)
        live_run.worker_pool.open_registration()
        nursery.start_soon(self._timeout.run)

    # Watching -------------------------------------------------------------------------------------------------------

    async def _watch(self, live_run: LiveTaskRun) -> None:
        """Wait until the work is done, or the run is stopped and its agents are done; leaves the run `stopping`."""
        run, launcher = live_run.task_run, live_run.task_launcher
        index = self._ledger.state.runs[run]
        while (reason := self._reason_to_stop(live_run)) is None:
            await self._changed.wait()
        await self._record.stop(run, reason)
        await launcher.expire_units(reason=reason)
        await live_run.worker_pool.end_idle(reason)
        submissions = live_run.worker_pool.submissions
        while not (self._at_once or (index.is_idle and submissions.all_answered)):
            await self._changed.wait()
        if self._lost is not None:
            raise self._lost
        if self._at_once:
            await live_run.worker_pool.disconnect_active_agents(reason)

    async def _let_code_end(self, live_run: LiveTaskRun) -> None:
        """Give task code time to finish after the last submission."""
        seconds = SHORT_CODE_SECONDS if self._at_once else CODE_SECONDS
        with trio.move_on_after(seconds) as timeout:
            await live_run.worker_pool.wait_for_code()
        if timeout.cancelled_caught:
            logger.warning("the task's code did not end in time", limit_seconds=seconds)

    def _reason_to_stop(self, live_run: LiveTaskRun) -> str | None:
        """Return why no more work is given out; None if there is more."""
        launcher = live_run.task_launcher
        if self._stopping is not None:
            return self._stopping
        # The script's verdict on a submission may free money for more units.
        if launcher.is_out_of_budget and live_run.worker_pool.submissions.all_answered:
            return OUT_OF_BUDGET
        open_work = self._ledger.state.runs[live_run.task_run].has_open_work
        return None if open_work or not launcher.is_done else "all work is done"

    # Ending ---------------------------------------------------------------------------------------------------------

    async def _end_everyone(self, live_run: LiveTaskRun, reason: str) -> None:
        """Leave nothing open in a run that failed."""
        run = live_run.task_run
        if self._ledger.state.task_runs[streams.task_run(run)].status in OPEN_RUN_STATUSES:
            await self._record.stop(run, reason)
            await live_run.task_launcher.expire_units()
            await live_run.worker_pool.disconnect_active_agents(reason)

    async def _release(self) -> None:
        """Release what the run holds outside; what fails or hangs stays in the log as held, to be released later."""
        while self._releases:
            release = self._releases.pop()
            try:
                with trio.fail_after(RELEASE_SECONDS):
                    await release()
            except trio.TooSlowError:
                logger.error("an outside resource could not be released in time", limit_seconds=RELEASE_SECONDS)
            except LogError:
                raise
            except (MephistoError, OSError) as error:
                logger.error("an outside resource could not be released", reason=str(error))

    # Notifications --------------------------------------------------------------------------------------------------

    def _on_committed(self, live_run: LiveTaskRun, events: Sequence[RecordedEvent]) -> None:
        ours = [recorded for recorded in events if _is_of(live_run.task_run, recorded.envelope.stream)]
        if ours:
            live_run.worker_pool.on_committed(ours)
            live_run.task_launcher.on_committed(ours)
            self._timeout.on_committed(ours)
            self._changed.notify()

    def _on_channel_lost(self, channel_id: str) -> None:
        reason = f"the server behind {channel_id} can no longer be reached"
        self._lost = LaunchError("live", reason)
        self.stop(reason, at_once=True)


def _is_of(run: TaskRunId, stream: str) -> bool:
    return streams.partition_of(stream) == streams.partition_of_run(run)


def _failure_of(group: BaseExceptionGroup[BaseException]) -> LaunchError | None:
    """Return why a run failed; None if it was cancelled, or the log failed and nothing can be recorded."""
    if not isinstance(group, ExceptionGroup) or group.subgroup(LogError) is not None:
        return None
    ours = group.subgroup(MephistoError)
    error: BaseException = ours or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, LaunchError):
        return error
    if isinstance(error, MephistoError):
        return LaunchError("live", str(error))
    logger.error("an unexpected error ends the run", exc_info=group)
    return LaunchError("live", f"an unexpected {type(error).__name__}; the log of the operator has all of it")
