"""A live run as launch scripts and tools see it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import trio
from omegaconf import DictConfig

from ....events import streams
from ....events.envelope import RecordedEvent
from ....events.ids import TaskRunId
from ...abstractions.architect import Architect
from ...abstractions.blueprint import Blueprint
from ...abstractions.crowd_provider import CrowdProvider
from ...lifecycles.agent import AgentRecord, AgentStatus
from ...signal import Signal
from ...state.decision_state import DecisionState
from ..agent_pages import AgentPages
from ..client_io_handler import ClientIOHandler
from ..logger_core import get_logger
from ..run_context import RunContext
from ..task_launcher import TaskLauncher
from ..uploads import UploadFetcher
from ..worker_pool import WorkerPool
from .site_loop import SiteLoop

#: Reasons for which a run stops by itself, and its units expire.
OUT_OF_BUDGET, ALL_DONE = "budget", "all work is done"
#: Statuses of agents that have something to send. Whoever waits for a partner has not begun.
_WORKING = (AgentStatus.ACCEPTED, AgentStatus.IN_TASK, AgentStatus.PARTNER_DISCONNECT)

logger = get_logger(__name__)


@dataclass(frozen=True)
class LiveTaskRun:
    """A run whose server is up, with the services that drive it.

    `Operator.get_running_task_runs()` returns these.
    """

    context: RunContext
    #: Base URL of the run's server.
    url: str
    task_launcher: TaskLauncher
    worker_pool: WorkerPool
    pages: AgentPages
    client_io: ClientIOHandler
    uploads: UploadFetcher
    site: SiteLoop

    @property
    def task_run(self) -> TaskRunId:
        """Id of the run."""
        return self.context.task_run

    @property
    def config(self) -> DictConfig:
        """The run's whole configuration: the `mephisto` section of a config file."""
        return self.context.config

    @property
    def blueprint(self) -> Blueprint:
        """The run's blueprint."""
        return self.context.blueprint

    @property
    def architect(self) -> Architect:
        """The run's architect."""
        return self.context.architect

    @property
    def provider(self) -> CrowdProvider:
        """The crowd provider that the run's workers come from."""
        return self.context.provider

    def reason_to_stop(self, state: DecisionState) -> str | None:
        """Return the reason for which no more work is given out; None if there is more."""
        # The script's verdict on a submission may free money for more units.
        if self.task_launcher.is_out_of_budget and self.worker_pool.submissions.all_answered:
            return OUT_OF_BUDGET
        return None if state.runs[self.task_run].has_open_work or not self.task_launcher.is_done else ALL_DONE

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Bring all services up to date with durable events of the run."""
        self.uploads.on_committed(events)
        self.worker_pool.on_committed(events)
        self.task_launcher.on_committed(events)
        self.site.notify()

    def retry_soon(self, reason: str) -> None:
        """Give work to newcomers again, and ask the run's code about everybody whom it failed on."""
        self.context.nursery.start_soon(self.worker_pool.retry, reason)

    async def take_work_away(self, state: DecisionState, reason: str, changed: Signal, seconds: float) -> None:
        """Take their units from all agents, whose pages are told, and wait for what they still submit.

        The wait ends once everybody has submitted or has closed the page, at the latest after the given time. What is
        submitted meanwhile is kept as late work.

        Args:
            state: the present state.
            reason: recorded as the reason for which the agents expire.
            changed: notified after every event of the run, and when a page is gone.
            seconds: longest wait; 0: none.
        """
        at_work = [streams.agent(self.task_run, agent) for agent in state.runs[self.task_run].live_agents]
        taken = [stream for stream in at_work if state.agents[stream].status in _WORKING]
        await self.worker_pool.disconnect_active_agents(reason)
        if not taken or seconds <= 0:
            return
        logger.warning(
            "work was taken from people because the run ends; what they still send is kept as late work",
            people=len(taken),
            limit_seconds=seconds,
        )
        with trio.move_on_after(seconds):
            while any(self._may_still_send(state.agents[stream]) for stream in taken):
                await changed.wait()

    def _may_still_send(self, agent: AgentRecord) -> bool:
        return agent.submission is None and not self.pages.is_gone(agent.token)

    async def let_code_end(self, seconds: float) -> None:
        """Give task code time to finish after the last submission."""
        with trio.move_on_after(seconds) as timeout:
            await self.worker_pool.wait_for_code()
            await self.worker_pool.submissions.wait_answered()
        if timeout.cancelled_caught:
            logger.warning("the task's code did not end in time", limit_seconds=seconds)

    async def leave(self, pause_seconds: float | None) -> None:
        """Close the channels, once they have sent what is queued.

        Args:
            pause_seconds: time for that if the run pauses, in which case its offer is withdrawn too; None: it ends.
        """
        if pause_seconds is not None:
            await self.site.withdraw()
        with trio.move_on_after(math.inf if pause_seconds is None else pause_seconds):
            await self.client_io.shutdown(is_paused=pause_seconds is not None)

    @property
    def worker_url(self) -> str:
        """URL that a worker opens."""
        return self.provider.worker_url(self.url)
