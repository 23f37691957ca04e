"""Drives one run from its launch to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import trio

from ....events import streams
from ....events.envelope import RecordedEvent
from ....events.ids import TaskRunId
from ....events.task_run import TaskRunDeployed, TaskRunFailed, TaskRunPrepared, TaskRunWentLive
from ....events.worker import WorkerBlocked
from ...abstractions.architect import ArchitectContext
from ...abstractions.resources import Resources
from ...command_issuer import OPERATOR
from ...commands.task_run import LATE_WORK_SECONDS
from ...decisions.task_run import resume_advice, seen_run
from ...errors import LaunchError, LogError
from ...ledger import Ledger
from ...lifecycles.engagement import ON_SUBMITTED
from ...lifecycles.task_run import RESUMABLE_RUN_STATUSES
from ...ports import Ids, WallClock
from ...redaction import redacted_text
from ...signal import Signal
from ..control.guest_requests import follow_requests
from ..control.own_page_requests import OwnPageServices
from ..launching.owners import RunOwners
from ..logger_core import get_logger, log_ids
from ..run_context import RunContext
from ..services.consents import withdrawer_in_log
from ..services.directory import Directory
from .assembly import assemble_live_run
from .failures import failure_of, is_cancellation
from .live_task_run import LiveTaskRun
from .plan import RunPlan
from .record import RunRecord
from .releases import Releases
from .restart import parts_to_resume
from .server import RunServer, launch_step
from .submission_timeout import SubmissionTimeout

#: Seconds that workers are kept waiting for the first units of a run whose data is slow.
FIRST_UNITS_SECONDS = 5.0
#: Seconds that task code has at the end of a run to finish after the last submission; also if it ends immediately.
CODE_SECONDS, SHORT_CODE_SECONDS = 30.0, 5.0
#: Seconds that a run has to record its pause and send what is queued, before a supervisor kills it.
PAUSE_SECONDS = 1.0

logger = get_logger(__name__)


class LiveRunDriver:
    """Takes a plan through all the steps of a run.

    Attributes:
        task_run: the run; None until it is recorded.
        plan: what is launched; kept, so that a paused run can be resumed by the same operator.
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
        own_pages: OwnPageServices | None = None,
        owners: RunOwners | None = None,
    ) -> None:
        """Keep the parts; nothing is started.

        Args:
            ledger: takes the commands.
            ids: source of ids and salts.
            clock: the wall clock.
            runs_dir: folder in which each run gets a folder.
            plan: the run to launch.
            resumed: a run of an earlier process to resume; None for a new run.
            own_pages: what workers may do on their own pages; None if there are no files beside the log.
            owners: makes a new run this operator's; None if the log has no other operators.
        """
        self._resumed = self.task_run = resumed
        self._ledger = ledger
        self._ids, self._clock = ids, clock
        self._runs_dir = runs_dir
        self.plan = plan
        self._record = RunRecord(ledger, ids, owners)
        services = own_pages or OwnPageServices(withdrawer_in_log(ledger, ids))
        self._assemble = partial(assemble_live_run, ledger=ledger, ids=ids, clock=clock, own_pages=services)
        self._timeout = SubmissionTimeout(clock, plan.settings.no_submission_patience, self.pause)
        self._stopping: str | None = None
        #: Who asked for the stop or the pause.
        self._author, self._at_once, self._late_seconds = OPERATOR, False, 0.0
        #: Why the run is to be paused once nobody is at work, and whether work is taken from its agents first.
        self._draining: str | None = None
        self._takes_work_away = False
        #: Why the run is paused now, and what was under way until then.
        self._pausing: str | None = None
        self._under_way = trio.CancelScope()
        self._lost: LaunchError | None = None
        self._changed = Signal()
        self._releases = Releases()
        self.is_live = False

    def stop(
        self,
        reason: str,
        *,
        at_once: bool = False,
        author: str = OPERATOR,
        late_work_seconds: float = LATE_WORK_SECONDS,
    ) -> None:
        """Stop giving out work, and end the run.

        Args:
            reason: recorded in the log, as is the author.
            author: who asked for it.
            at_once: take their work from the agents, instead of waiting for them; its reason replaces an earlier one.
            late_work_seconds: time in which they can still submit what they have.
        """
        if self._stopping is None or (at_once and not self._at_once):
            self._stopping, self._author = reason, author
        self._at_once, self._late_seconds = self._at_once or at_once, late_work_seconds
        self._changed.notify()

    def drain(self, reason: str, *, take_work_away: bool = False, author: str = OPERATOR) -> None:
        """Give no work to newcomers, and pause the run once nobody is at work.

        Args:
            reason: recorded in the log, as is the author.
            author: who asked for it.
            take_work_away: end the agents at work instead of waiting for them; their units go back on offer.
        """
        if self._draining is None:
            self._draining, self._author = reason, author
        self._takes_work_away = self._takes_work_away or take_work_away
        self._changed.notify()

    def pause(self, reason: str, *, author: str | None = None) -> None:
        """Leave the run now: its units stay open, its agents keep their work, its server keeps their pages.

        Args:
            reason: recorded in the log, as is the author.
            author: who asked for it; unless given, who asked for an earlier stop, or the operator.
        """
        if self._pausing is None:
            self._pausing, self._author = reason, author or self._author
        self._under_way.cancel()

    async def drive(self, on_live: Callable[[LiveTaskRun], None]) -> None:
        """Launch the run, watch over it, and end it, or leave it paused.

        A run that ends releases everything it acquired, in reverse order. A run that is paused, or cancelled, keeps
        everything: the log knows what exists, so the run can be resumed. A failure pauses a run too, unless it is a new
        one to which no worker has come yet: that one is recorded as failed.

        Args:
            on_live: called once workers can come.

        Raises:
            LaunchError: a step failed.
            LogError: the log accepts nothing more; nothing could be recorded.
        """
        run = self.task_run = await self._begin()
        with log_ids(run=run):
            async with self._releases:
                try:
                    await self._launch_and_watch(run, on_live)
                except BaseException as error:
                    await self._on_error(run, error)
                    raise
                if self._pausing is None:
                    await self._releases.run()
                    await self._record.complete(run)
                    logger.info("the run is completed")
                elif self._lost is not None:
                    raise self._lost
                elif not self.is_live:
                    await self._abandon(run, self._pausing)

    async def _on_error(self, run: TaskRunId, error: BaseException) -> None:
        """Record what an error or a cancellation means for the run, if anything can be recorded.

        Raises:
            LaunchError: in place of any other error that the run itself ended with.
        """
        if is_cancellation(error):
            # The ledger may have been cancelled too; a run without a record of its pause can be resumed as well.
            with suppress(LogError), trio.move_on_after(PAUSE_SECONDS) as recording:
                recording.shield = True
                await self._record_pause(run, "the operator was stopped")
            return
        failure = failure_of(error)
        if failure is None:
            return
        if self._resumed is not None or self.is_live:
            await self._record_pause(run, redacted_text(str(failure)))
        else:
            await self._releases.run()
            failed = TaskRunFailed(step=failure.step, reason=redacted_text(str(failure)))
            await self._record.record_event(run, failed)
        raise failure from error

    async def _record_pause(self, run: TaskRunId, reason: str) -> None:
        await self._record.pause(run, reason, self._author)
        logger.warning(f"the run is paused; {resume_advice(self.plan.given_by_script)}", reason=reason)

    async def _abandon(self, run: TaskRunId, reason: str) -> NoReturn:
        """Give up a launch that was to be paused; raises `LaunchError`. A run without a server cannot be resumed."""
        failure = LaunchError("launch", f"{reason}, before workers could come")
        if self._ledger.state.task_runs[streams.task_run(run)].status not in RESUMABLE_RUN_STATUSES:
            await self._releases.run()
            await self._record.record_event(run, TaskRunFailed(step=failure.step, reason=str(failure)))
        raise failure

    # Launching ------------------------------------------------------------------------------------------------------

    async def _begin(self) -> TaskRunId:
        """Record a new run, or that this process resumes one."""
        if self._resumed is None:
            return await self._record.create(self.plan)
        await self._record.recover(self._resumed, "resumed by another operator process")
        return self._resumed

    async def _launch_and_watch(self, run: TaskRunId, on_live: Callable[[LiveTaskRun], None]) -> None:
        async with trio.open_nursery() as nursery:
            live_run: LiveTaskRun | None = None
            with self._under_way:
                live_run = await self._launch(run, nursery)
                # Left before the nursery is closed: whatever follows durable events starts tasks in it.
                with self._following(live_run):
                    await self._go_live(live_run)
                    self.is_live = True
                    on_live(live_run)
                    await self._watch(live_run)
                    await live_run.client_io.drain(at_once=self._at_once)
                    if missing := await live_run.uploads.wait_for_all(at_once=self._at_once):
                        self.pause(missing)
                        await trio.lowlevel.checkpoint()
                    await live_run.site.finish()
                    await live_run.let_code_end(SHORT_CODE_SECONDS if self._at_once else CODE_SECONDS)
            if self._under_way.cancelled_caught:
                await self._record_pause(run, self._pausing or "")
            if live_run is not None:
                await live_run.leave(PAUSE_SECONDS if self._pausing else None)
            nursery.cancel_scope.cancel()

    async def _launch(self, run: TaskRunId, nursery: trio.Nursery) -> LiveTaskRun:
        """Bring the server up, and put the parts of the run together."""
        context = self._make_context(run, nursery)
        await self._releases.open(context.provider)
        # A run that is only resumed to be ended needs no data, which may be gone.
        data = context.blueprint.get_initialization_data() if self._stopping is None else []
        self._releases.add(context.architect.shutdown)
        url = await self._bring_up_server(context)
        await Directory(self._ledger, self._ids).find_or_create_qualifications(context.qualification_names)
        return self._assemble(context, url, data, on_change=self._changed.notify, on_channel_lost=self._on_channel_lost)

    def _make_context(self, run: TaskRunId, nursery: trio.Nursery) -> RunContext:
        plan, resources = self.plan, Resources(self._ledger, self._ids, run)
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
        # Before the channels: a server that dies now is restarted, and they connect to it then.
        nursery.start_soon(live_run.architect.watch_over)
        with launch_step("channels"):
            await live_run.client_io.launch_channels()
        await self._record.record_event(live_run.task_run, TaskRunWentLive())
        self._releases.add(provider.cleanup_resources_from_task_run)
        if self._stopping is not None:
            return
        nursery.start_soon(launcher.follow_extensions)
        nursery.start_soon(launcher.launch_units, live_run.url)
        with trio.move_on_after(FIRST_UNITS_SECONDS):
            await launcher.wait_for_offer()
        with launch_step("provider"):
            await provider.setup_resources_for_task_run(live_run.url)
            live_run.client_io.expect_webhooks(provider.webhook_key())
            await live_run.site.start()
        nursery.start_soon(live_run.site.run)
        live_run.worker_pool.open_registration()
        nursery.start_soon(self._timeout.run)

    # Watching -------------------------------------------------------------------------------------------------------

    async def _watch(self, live_run: LiveTaskRun) -> None:
        """Wait until the work is done, or the run is stopped and its agents are done; leaves the run `stopping`."""
        run = live_run.task_run
        reason = await self._give_out_no_more(live_run)
        await live_run.task_launcher.expire_units(reason=reason)
        await live_run.worker_pool.end_idle(reason)
        submissions = live_run.worker_pool.submissions
        while not (self._at_once or (self._ledger.state.runs[run].is_idle and submissions.all_answered)):
            change = self._changed.next_event()
            await live_run.worker_pool.end_blocked(reason)
            await change.wait()
        if self._at_once:
            reason = self._stopping or reason  # that of the person in a hurry
            await self._record.stop(run, reason, self._author, at_once=True)
            await live_run.take_work_away(self._ledger.state, reason, self._changed, self._late_seconds)
        elif self._stopping is None and await submissions.retry():
            self.pause(f"{ON_SUBMITTED} failed on {submissions.failed} of the submissions; fix it and resume the run")

    async def _give_out_no_more(self, live_run: LiveTaskRun) -> str:
        """Wait for a reason to give out no more work, record it, and return it."""
        run, state = live_run.task_run, self._ledger.state
        while True:
            change = self._changed.next_event()
            if self._stopping is not None:
                await self._record.stop(run, self._stopping, self._author, at_once=self._at_once)
                return self._stopping
            if (reason := live_run.reason_to_stop(state)) is not None:
                # A person's name would make it a request to end, also if that person only asked for a pause.
                if await self._record.stop(run, reason, OPERATOR, seen=seen_run(state, run)):
                    return reason
            elif self._draining is not None:
                await self._drain(live_run, self._draining)
            await change.wait()

    async def _drain(self, live_run: LiveTaskRun, reason: str) -> None:
        """Close the registration, and pause the run if nobody is at work any more."""
        pool = live_run.worker_pool
        pool.close_registration()
        live_run.site.close()
        if self._takes_work_away:
            await pool.return_all_work(reason)
        await pool.end_blocked(reason)
        if pool.is_idle:
            self.pause(reason)
        elif self._ledger.state.task_runs[streams.task_run(live_run.task_run)].draining is None:
            await self._record.drain(live_run.task_run, reason, self._author)

    def _on_committed(self, live_run: LiveTaskRun, events: Sequence[RecordedEvent]) -> None:
        own = streams.partition_of_run(live_run.task_run)
        ours = [one for one in events if streams.partition_of(one.envelope.stream) == own]
        if ours:
            live_run.on_committed(ours)
            self._timeout.on_committed(ours)
            follow_requests(self, live_run, ours)
            self._changed.notify()
        elif any(isinstance(one.envelope.event, WorkerBlocked) for one in events):
            self._changed.notify()

    def _on_channel_lost(self, channel_id: str) -> None:
        reason = f"the server behind {channel_id} can no longer be reached"
        self._lost = LaunchError("live", reason)
        self.pause(reason)
