"""One run from its launch to its end: the steps in their order, and what undoes each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import trio

from ...events import streams
from ...events.directory import RequesterRegistered, TaskRegistered
from ...events.envelope import Recorded
from ...events.ids import RequesterId, TaskId, TaskRunId
from ...events.task_run import (
    TaskRunCreated,
    TaskRunDeployed,
    TaskRunEvent,
    TaskRunFailed,
    TaskRunPrepared,
    TaskRunRecovering,
    TaskRunWentLive,
)
from ..abstractions.resources import Resources
from ..errors import LaunchError, LogError, MephistoError
from ..ledger import Command, Ledger
from ..lifecycles.decisions import decide_complete, decide_stop
from ..lifecycles.market import Market
from ..lifecycles.server import ResourceStatus
from ..lifecycles.task_run import OPEN_RUN_STATUSES
from ..ports import Ids, NewEvent, WallClock
from .client_io_handler import ClientIOHandler
from .datatypes import LiveTaskRun
from .directory import find_or_create_qualifications
from .launch import RunPlan
from .logger_core import get_logger, log_ids
from .redaction import redacted
from .task_launcher import TaskLauncher
from .worker_pool import WorkerPool

#: The page's configuration, in the folder of static files.
TASK_CONFIG_FILE = "task_config.json"
#: The script that tells the page who the worker is.
WRAPPER_FILE = "wrap_crowd_source.js"
#: Seconds in which a run that fails or is cancelled must have released what it holds outside.
RELEASE_SECONDS = 30.0
#: Seconds that workers are kept from a run whose data takes its time to give the first item.
FIRST_UNITS_SECONDS = 5.0

logger = get_logger(__name__)


class LiveRunDriver:
    """Takes a plan through all the steps of a run.

    Attributes:
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
        self._resumed = resumed
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        self._runs_dir = runs_dir
        self._plan = plan
        self._step = "create"
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
        everything where it is: the log knows what there is, so that the run can be taken up again.

        Args:
            on_live: called once workers can come.

        Raises:
            LaunchError: a step failed; the run is recorded as failed.
            LogError: the log can take no more; nothing could be recorded.
        """
        run = await self._create() if self._resumed is None else await self._take_up(self._resumed)
        with log_ids(run=run):
            failure: MephistoError | None = None
            try:
                await self._launch_and_watch(run, on_live)
            except BaseExceptionGroup as group:
                failure = _only_cause(group)
                if failure is None:
                    raise
            if failure is not None:
                await self._let_everybody_go(run, str(failure))
            await self._release()
            if failure is None:
                await self._record_run(partial(decide_complete, run=run))
                logger.info("the run is completed")
            else:
                await self._record(run, TaskRunFailed(step=self._step, reason=str(failure)))
                raise (
                    failure if isinstance(failure, LaunchError) else LaunchError(self._step, str(failure))
                ) from failure

    # Steps ----------------------------------------------------------------------------------------------------------

    async def _create(self) -> TaskRunId:
        """Record the run, with its task and requester if they are new."""
        plan = self._plan
        run = TaskRunId(self._ids.next_id("task_run"))
        task, requester = TaskId(self._ids.next_id("task")), RequesterId(self._ids.next_id("requester"))
        provider_type = plan.provider_class.PROVIDER_TYPE
        name = str(plan.config.provider.requester_name or f"{provider_type}_requester")

        def decide(market: Market) -> list[NewEvent]:
            known_task = market.tasks_by_name.get(plan.task_name)
            known_requester = market.requesters_by_name.get((provider_type, name))
            created = TaskRunCreated(
                task_run=run,
                task=known_task or task,
                requester=known_requester or requester,
                blueprint_type=plan.blueprint_class.BLUEPRINT_TYPE,
                architect_type=plan.architect_class.ARCHITECT_TYPE,
                provider_type=provider_type,
                config=msgspec.json.encode(redacted(plan.config)).decode(),
                allowed_concurrent=plan.settings.allowed_concurrent,
                maximum_units_per_worker=plan.settings.maximum_units_per_worker,
                given_by_script=plan.given_by_script,
            )
            registered = TaskRegistered(task=task, name=plan.task_name, task_type=created.blueprint_type)
            account = RequesterRegistered(requester=requester, name=name, provider_type=provider_type)
            return [
                *([] if known_task else [NewEvent(streams.task(task), registered)]),
                *([] if known_requester else [NewEvent(streams.requester(requester), account)]),
                NewEvent(streams.task_run(run), created),
            ]

        await self._record_run(decide)
        return run

    async def _take_up(self, run: TaskRunId) -> TaskRunId:
        """Record that this process goes on with a run."""
        self._step = "resume"
        await self._record(run, TaskRunRecovering(reason="taken up by another operator process"))
        return run

    async def _launch_and_watch(self, run: TaskRunId, on_live: Callable[[LiveTaskRun], None]) -> None:
        async with trio.open_nursery() as nursery:
            live_run = self._assemble(run, nursery)
            self._releases.append(live_run.architect.shutdown)
            if self._resumed is None or not await self._reattach(live_run):
                await self._prepare(live_run)
                await self._deploy(live_run)
            await find_or_create_qualifications(self._ledger, self._ids, live_run.qualification_names)
            live_run.worker_pool.register_run(live_run)
            self._unsubscribe = self._ledger.subscribe(partial(self._on_committed, run))
            with self._doing("channels"):
                await live_run.client_io.launch_channels(self._on_channel_lost)
            await self._record(run, TaskRunWentLive())
            with self._doing("launch units"):
                nursery.start_soon(live_run.task_launcher.create_assignments)
                nursery.start_soon(live_run.task_launcher.launch_units, live_run.url)
                with trio.move_on_after(FIRST_UNITS_SECONDS):
                    await live_run.task_launcher.wait_for_offer()
            self._releases.append(live_run.provider.cleanup_resources_from_task_run)
            with self._doing("provider"):
                await live_run.provider.setup_resources_for_task_run(live_run.url)
            live_run.worker_pool.let_workers_in()
            self.is_live = True
            on_live(live_run)
            self._step = "live"
            await self._watch(live_run)
            await live_run.client_io.shutdown()
            nursery.cancel_scope.cancel()

    def _assemble(self, run: TaskRunId, nursery: trio.Nursery) -> LiveTaskRun:
        plan, resources = self._plan, Resources(self._ledger, self._ids, run)
        build_dir = self._runs_dir / str(run)
        blueprint = plan.blueprint_class(plan.config, plan.shared_state)
        self.live_run = live_run = LiveTaskRun(
            task_run=run,
            config=plan.config,
            settings=plan.settings,
            blueprint=blueprint,
            architect=plan.architect_class(plan.config, plan.shared_state, run, build_dir, resources),
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
        )
        return live_run

    async def _reattach(self, live_run: LiveTaskRun) -> bool:
        """Find the server that the earlier process has left; what is not there any more is recorded as released."""
        with self._doing("reattach"):
            prefix = streams.server(live_run.task_run, 0).removesuffix("0")
            for stream, resource in list(self._ledger.market.servers.items()):
                if not stream.startswith(prefix) or resource.status is ResourceStatus.RELEASED:
                    continue
                number = int(stream.removeprefix(prefix))
                url = await live_run.architect.reattach(number, resource.details)
                if url is not None:
                    live_run.url = url
                    return True
                await live_run.architect.resources.released(number, "not there when the run was taken up again")
        return False

    async def _prepare(self, live_run: LiveTaskRun) -> None:
        with self._doing("prepare"):
            live_run.architect.build_dir.mkdir(parents=True, exist_ok=True)
            static_dir = await live_run.architect.prepare()
            live_run.blueprint.build_page(static_dir)
            wrapper = live_run.provider.get_wrapper_js_path().read_bytes()
            (static_dir / WRAPPER_FILE).write_bytes(wrapper)
            config = msgspec.json.encode(live_run.blueprint.get_frontend_args())
            (static_dir / TASK_CONFIG_FILE).write_bytes(config)
        if self._resumed is None:
            await self._record(live_run.task_run, TaskRunPrepared())

    async def _deploy(self, live_run: LiveTaskRun) -> None:
        with self._doing("deploy"):
            live_run.url = await live_run.architect.deploy()
            await live_run.architect.cleanup()
        await self._record(live_run.task_run, TaskRunDeployed(url=live_run.url))

    # Watching -------------------------------------------------------------------------------------------------------

    async def _watch(self, live_run: LiveTaskRun) -> None:
        """Wait until the work is done, or the run is stopped and those at work are done; leaves it `stopping`."""
        run, launcher = live_run.task_run, live_run.task_launcher
        index = self._ledger.market.runs[run]
        while self._stopping is None and (index.has_open_work or not launcher.is_done):
            await self._changed.wait()
        reason = self._stopping or "all work is done"
        await self._record_run(partial(decide_stop, run=run, reason=reason))
        await launcher.expire_units()
        await live_run.worker_pool.end_onboardings(reason)
        while not (self._at_once or index.is_idle):
            await self._changed.wait()
        if self._lost is not None:
            raise self._lost
        if self._at_once:
            await live_run.worker_pool.disconnect_active_agents(reason)

    async def _let_everybody_go(self, run: TaskRunId, reason: str) -> None:
        """Leave nothing open in a run that failed."""
        if self._ledger.market.task_runs[streams.task_run(run)].status in OPEN_RUN_STATUSES:
            await self._record_run(partial(decide_stop, run=run, reason=reason))
            await self.live_run.task_launcher.expire_units()
            await self.live_run.worker_pool.disconnect_active_agents(reason)

    async def _release(self) -> None:
        """Release what is held outside; what fails or hangs stays in the log as held, to be released later."""
        self._unsubscribe()
        while self._releases:
            release = self._releases.pop()
            try:
                with trio.fail_after(RELEASE_SECONDS):
                    await release()
            except trio.TooSlowError:
                logger.error("something outside could not be released in time", limit_seconds=RELEASE_SECONDS)
            except LaunchError as error:
                logger.error("something outside could not be released", reason=str(error))

    def _on_committed(self, run: TaskRunId, events: Sequence[Recorded]) -> None:
        ours = [recorded for recorded in events if _is_of(run, recorded.envelope.stream)]
        if ours:
            self.live_run.worker_pool.on_committed(ours)
            self.live_run.task_launcher.on_committed(ours)
            self._change()

    def _on_channel_lost(self, channel_id: str) -> None:
        reason = f"the server behind {channel_id} could not be reached any more"
        self._lost = LaunchError("live", reason)
        self.stop(reason, at_once=True)

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # Recording ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _doing(self, step: str) -> Iterator[None]:
        """Name the step that is under way, so that a failure can say where it happened."""
        self._step = step
        try:
            yield
        except OSError as error:
            raise LaunchError(step, f"{error.strerror or error} ({error.filename})") from error

    async def _record(self, run: TaskRunId, event: TaskRunEvent) -> None:
        await self._record_run(lambda _: [NewEvent(streams.task_run(run), event)])

    async def _record_run(self, decide: Callable[[Market], Sequence[NewEvent]]) -> None:
        await self._ledger.execute(Command(self._ids.command_id(), "operator", decide))


def _is_of(run: TaskRunId, stream: str) -> bool:
    return streams.partition_of(stream) == f"run/{run}"


def _only_cause(group: BaseExceptionGroup[BaseException]) -> MephistoError | None:
    """The error of ours that a group is made of; None if there is anything else in it, or the log has failed."""
    ours, rest = group.split(lambda error: isinstance(error, MephistoError) and not isinstance(error, LogError))
    if ours is None or rest is not None:
        return None
    error: BaseException = ours
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, MephistoError) else None
