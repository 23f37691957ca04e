"""Takes work away when a run must end at once, and waits a short time for what the workers still send."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from ....events import streams
from ....events.ids import TaskRunId
from ...lifecycles.agent import AgentStatus
from ...signal import Signal
from ...state.decision_state import DecisionState
from ..logger_core import get_logger
from .live_task_run import LiveTaskRun

#: Seconds for which late work is still taken when a run ends at once. A page learns of the end within ten seconds.
LATE_WORK_SECONDS = 30.0

#: Statuses of agents that have something to send. Whoever waits for a partner has not begun.
_WORKING = (AgentStatus.ACCEPTED, AgentStatus.IN_TASK, AgentStatus.PARTNER_DISCONNECT)

logger = get_logger(__name__)


async def take_work_away(
    live_run: LiveTaskRun, state: DecisionState, reason: str, changed: Signal, seconds: float
) -> None:
    """Take their units from all agents, whose pages are told, and wait for what they still submit.

    The wait ends once everybody has submitted or has closed the page, at the latest after the given time. What is
    submitted meanwhile is kept as late work.

    Args:
        live_run: the run.
        state: the present state.
        reason: recorded as the reason for which the agents expire.
        changed: notified after every event of the run, and when a page is gone.
        seconds: longest wait; 0: none.
    """
    taken = _streams_at_work(state, live_run.task_run)
    await live_run.worker_pool.disconnect_active_agents(reason)
    if not taken or seconds <= 0:
        return
    logger.warning(
        "work was taken from people because the run ends; what they still send is kept as late work",
        people=len(taken),
        limit_seconds=seconds,
    )
    with trio.move_on_after(seconds):
        while any(_may_still_send(live_run, state, stream) for stream in taken):
            await changed.wait()


def _streams_at_work(state: DecisionState, run: TaskRunId) -> Sequence[str]:
    found = [streams.agent(run, agent) for agent in state.runs[run].live_agents]
    return [stream for stream in found if state.agents[stream].status in _WORKING]


def _may_still_send(live_run: LiveTaskRun, state: DecisionState, stream: str) -> bool:
    agent = state.agents[stream]
    return agent.submission is None and not live_run.pages.is_gone(agent.token)
