"""Whether a worker can be forgotten."""

from __future__ import annotations

from ...events import streams
from ...events.ids import WorkerId
from ...events.worker import WorkerForgotten
from ..errors import CommandRefusedError
from ..lifecycles.agent import LIVE_AGENT_STATUSES, AgentStatus
from ..lifecycles.onboarding import LIVE_ONBOARDING_STATUSES
from ..ports import NewEvent
from ..state.decision_state import DecisionState

_AT_WORK = frozenset({*LIVE_AGENT_STATUSES, AgentStatus.PARTNER_DISCONNECT})


def decide_forget(state: DecisionState, worker: WorkerId, reason: str) -> list[NewEvent]:
    """Delete what is known of a worker: name, submissions, updates, reviewers' notes.

    Raises:
        UnknownEntityError: there is no such worker.
        CommandRefusedError: the worker is at work, so that more would come.
    """
    stream = streams.worker(state.workers[streams.worker(worker)].worker)
    agents = [one for _, one in state.agents.items() if one.worker == worker and one.status in _AT_WORK]
    if agents:
        raise CommandRefusedError(
            f"worker-{worker} is still at work: agent-{agents[0].agent} is {agents[0].status.value!r}; "
            "resume its run and let it end, then try again"
        )
    onboardings = (one for _, one in state.onboardings.items() if one.worker == worker)
    if any(one.status in LIVE_ONBOARDING_STATUSES for one in onboardings):
        raise CommandRefusedError(
            f"worker-{worker} is in the onboarding step; resume its run and let it end, then try again"
        )
    return [NewEvent(stream, WorkerForgotten(reason=reason))]
