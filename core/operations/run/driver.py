"""One run from its launch to its end: the steps in their order, and what undoes each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import trio

from ....events import streams
from ....events.envelope import RecordedEvent
from ....events.ids import TaskRunId
from ....events.task_run import TaskRunDeployed, TaskRunFailed, TaskRunPrepared, TaskRunRecovering, TaskRunWentLive
from ...abstractions.architect import ArchitectContext
from ...abstractions.resources import Resources
from ...decisions.end_work import decide_complete, decide_stop
from ...errors import LaunchError, LogError, MephistoError
from ...ledger import Ledger
from ...lifecycles.task_run import OPEN_RUN_STATUSES
from ...ports import Ids, WallClock
from ...redaction import redacted_text
from ..client_io_handler import ClientIOHandler
from ..logger_core import get_logger, log_ids
from ..services.directory import Directory
from ..task_launcher import TaskLauncher
from ..worker_pool import WorkerPool
from .live_task_run import LiveTaskRun
from .plan import RunPlan
from .record import RunRecord
from .server import deploy, launch_step, prepare, reattach
from .submission_timeout import SubmissionPatience

#: Seconds in which a run that fails or is cancelled must have released what it holds outside.
RELEASE_SECONDS = 30.0
#: Seconds that workers are kept from a run whose data takes its time to give the first item.
FIRST_UNITS_SECONDS = 5.0
#: Seconds that the task's code has at the end of a run for what it does after the last submission.
CODE_SECONDS = 30.0
#: The same where a run is to end at once.
SHORT_CODE_SECONDS = 5.0
#: Why a run stops, and its units expire, that has no money for more.
OUT_OF_BUDGET = "budget"

logger = get_logger(__name__)


class LiveRunDriver:
    """Takes a plan through all the steps of a run.

    Attributes:
        task_run: which run it is; None: it is not recorded yet.
        live_run: the run, from its creation on.
        is_live: whether workers were ever let in.
    """

    live_run: LiveTaskRun

    def __init__(
        self,
        ledger: Ledger,
        ids: Ids,
        clock: WallClock,
        runs_dir: Path,
        plan: RunPlan,
        resumed: TaskRunId | None = None,
    ) -> None:
        """Take the parts; nothing is done yet.

        Args:
            ledger: the door.
            ids: where ids come from.
            clock: the wall clock.
            runs_dir: a folder that gets one folder for each run.
            plan: what to launch.
            resumed: the run of an earlier process that is to be taken up; None: a new one.
        """
        self._resumed = self.task_run = resumed
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._runs_dir = runs_dir
        self._plan = plan
        self._record = RunRecord(ledger, ids)
        self._patience = SubmissionPatience(clock, plan.settings.no_submission_patience, self.stop)
        self._stopping: str | None = None
        self._at_once = False
        self._lost: LaunchError | None = None
        self._changed = trio.Event()
        #: What is to be called in the end, the last first.
        self._releases: list[Callable[[], Awaitable[None]]] = []
        self._unsubscribe: Callable[[], None] = lambda: None
        self.is_live = False

    def stop(self, reason: str, *, at_once: bool = False) -> None:
        """Give out no more work, and end the run when those at work are done; at once: take their work away."""
        self._stopping = self._stopping or reason
        self._at_once = self._at_once or at_once
        self._change()

    async def drive(self, on_live: Callable[[LiveTaskRun], None]) -> None:
        """Launch the run, watch over it, and end it.

        Whatever was acquired is released before this returns or raises, the last first. Cancelled, it leaves
        everything where it is: the log knows what there is, so that the run can be taken up again. So it does when a
        run of an earlier process cannot be taken up: nothing is to be lost by trying.

        Args:
            on_live: called once workers can come.

        Raises:
            LaunchError: a step failed; a new run, or one that had got live, is recorded as failed.
            LogError: the log can take no more; nothing could be recorded.
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
                await self._end_everyone(run, str(failure))
            await self._release()
            if failure is not None:
                await self._record.record_event(
                    run, TaskRunFailed(step=failure.step, reason=redacted_text(str(failure)))
                )
                raise failure
            await self._record.run_decision(partial(decide_complete, run=run))
            logger.info("the run is completed")

    async def _begin(self) -> TaskRunId:
        """Record a new run, or that this process goes on with one."""
        if self._resumed is None:
            return await self._record.create(self._plan)
        await self._record.record_event(self._resumed, TaskRunRecovering(reason="taken up by another operator process"))
        return self._resumed

    async def _launch_and_watch(self, run: TaskRunId, on_live: Callable[[LiveTaskRun], None]) -> None:
        async with trio.open_nursery() as nursery:
            try:
                live_run = await self._launch(run, nursery)
                self.is_live = True
                on_live(live_run)
                await self._watch(live_run)
                await live_run.client_io.drain(at_once=self._at_once)
                await self._let_code_end(live_run)
                await live_run.client_io.shutdown()
            finally:
                # Before the nursery is closed: who follows durable events starts tasks in it.
                self._unsubscribe()
            nursery.cancel_scope.cancel()

    async def _launch(self, run: TaskRunId, nursery: trio.Nursery) -> LiveTaskRun:
        live_run = self._assemble(run, nursery)
        self._releases.append(live_run.architect.shutdown)
        await self._bring_up_server(live_run)
        await Directory(self._ledger, self._ids).find_or_create_qualifications(live_run.qualification_names)
        live_run.worker_pool.register_run(live_run)
        self._unsubscribe = self._ledger.subscribe(partial(self._on_committed, run))
        with launch_step("channels"):
            await live_run.client_io.launch_channels(self._on_channel_lost)
        await self._record.record_event(run, TaskRunWentLive())
        nursery.start_soon(live_run.task_launcher.create_assignments)
        nursery.start_soon(live_run.task_launcher.launch_units, live_run.url)
        with trio.move_on_after(FIRST_UNITS_SECONDS):
            await live_run.task_launcher.wait_for_offer()
        self._releases.append(live_run.provider.cleanup_resources_from_task_run)
        with launch_step("provider"):
            await live_run.provider.setup_resources_for_task_run(live_run.url)
        nursery.start_soon(live_run.architect.watch_over)
        live_run.worker_pool.open_registration()
        nursery.start_soon(self._patience.run)
        return live_run

    def _assemble(self, run: TaskRunId, nursery: trio.Nursery) -> LiveTaskRun:
        plan, resources = self._plan, Resources(self._ledger, self._ids, run)
        build_dir = self._runs_dir / str(run)
        blueprint = plan.blueprint_class(plan.config, plan.shared_state)
        self.live_run = live_run = LiveTaskRun(
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
        live_run.client_io = ClientIOHandler(self._ledger, self._ids)
        live_run.client_io.register_run(live_run)
        live_run.worker_pool = WorkerPool(self._ledger, self._ids, self._clock)
        live_run.task_launcher = TaskLauncher(
            self._ledger,
            self._ids,
            run,
            blueprint.get_initialization_data(),
            pay_cents=plan.settings.task_reward_cents,
            max_num_concurrent_units=plan.settings.max_num_concurrent_units,
            max_repeats=live_run.task_runner.max_repeats,
            concurrent=live_run.task_runner.is_concurrent,
        )
        return live_run

    async def _bring_up_server(self, live_run: LiveTaskRun) -> None:
        """Deploy the server, unless an earlier process of the run has left a living one."""
        url = None if self._resumed is None else await reattach(live_run, self._ledger.state)
        if url is not None:
            live_run.url = url
            return
        await prepare(live_run)
        if self._resumed is None:
            await self._record.record_event(live_run.task_run, TaskRunPrepared())
        live_run.url = await deploy(live_run)
        await self._record.record_event(live_run.task_run, TaskRunDeployed(url=live_run.url))

    # Watching -------------------------------------------------------------------------------------------------------

    async def _watch(self, live_run: LiveTaskRun) -> None:
        """Wait until the work is done, or the run is stopped and those at work are done; leaves it `stopping`."""
        run, launcher = live_run.task_run, live_run.task_launcher
        index = self._ledger.state.runs[run]
        while (reason := self._reason_to_stop(live_run)) is None:
            await self._changed.wait()
        await self._record.run_decision(partial(decide_stop, run=run, reason=reason))
        await launcher.expire_units(reason=reason)
        await live_run.worker_pool.end_idle(reason)
        submissions = live_run.worker_pool.agents.submissions
        while not (self._at_once or (index.is_idle and submissions.are_told)):
            await self._changed.wait()
        if self._lost is not None:
            raise self._lost
        if self._at_once:
            await live_run.worker_pool.disconnect_active_agents(reason)

    async def _let_code_end(self, live_run: LiveTaskRun) -> None:
        """Leave the task's code the time for what it does after the last submission."""
        seconds = SHORT_CODE_SECONDS if self._at_once else CODE_SECONDS
        with trio.move_on_after(seconds) as patience:
            await live_run.worker_pool.wait_for_code()
        if patience.cancelled_caught:
            logger.warning("the task's code did not end by itself", limit_seconds=seconds)

    def _reason_to_stop(self, live_run: LiveTaskRun) -> str | None:
        """Why no more work is to be given out; None: there is more."""
        launcher = live_run.task_launcher
        if self._stopping is not None:
            return self._stopping
        # A verdict that the script gives on a submission may leave money for more.
        if launcher.is_out_of_budget and live_run.worker_pool.agents.submissions.are_told:
            return OUT_OF_BUDGET
        open_work = self._ledger.state.runs[live_run.task_run].has_open_work
        return None if open_work or not launcher.is_done else "all work is done"

    async def _end_everyone(self, run: TaskRunId, reason: str) -> None:
        """Leave nothing open in a run that failed."""
        if self._ledger.state.task_runs[streams.task_run(run)].status in OPEN_RUN_STATUSES:
            await self._record.run_decision(partial(decide_stop, run=run, reason=reason))
            await self.live_run.task_launcher.expire_units()
            await self.live_run.worker_pool.disconnect_active_agents(reason)

    async def _release(self) -> None:
        """Release what is held outside; what fails or hangs stays in the log as held, to be released later."""
        while self._releases:
            release = self._releases.pop()
            try:
                with trio.fail_after(RELEASE_SECONDS):
                    await release()
            except trio.TooSlowError:
                logger.error("something outside could not be released in time", limit_seconds=RELEASE_SECONDS)
            except LogError:
                raise
            except (MephistoError, OSError) as error:
                logger.error("something outside could not be released", reason=str(error))

    def _on_committed(self, run: TaskRunId, events: Sequence[RecordedEvent]) -> None:
        ours = [recorded for recorded in events if _is_of(run, recorded.envelope.stream)]
        if ours:
            self.live_run.worker_pool.on_committed(ours)
            self.live_run.task_launcher.on_committed(ours)
            self._patience.on_committed(ours)
            self._change()

    def _on_channel_lost(self, channel_id: str) -> None:
        reason = f"the server behind {channel_id} could not be reached any more"
        self._lost = LaunchError("live", reason)
        self.stop(reason, at_once=True)

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _is_of(run: TaskRunId, stream: str) -> bool:
    return streams.partition_of(stream) == streams.partition_of_run(run)


def _failure_of(group: BaseExceptionGroup[BaseException]) -> LaunchError | None:
    """Why a run failed; None if it was cancelled, or the log has failed, so that nothing can be recorded."""
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
