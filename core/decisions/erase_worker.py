"""Decides whether a worker's personal data can be erased."""

from __future__ import annotations

from ...events import streams
from ...events.worker import WorkerErased
from ..commands.directory import EraseWorker
from ..errors import CommandRefusedError
from ..lifecycles.agent import AT_WORK_STATUSES
from ..lifecycles.onboarding import LIVE_ONBOARDING_STATUSES
from ..lifecycles.task_run import RESUMABLE_RUN_STATUSES
from ..ports import NewEvent
from ..state.decision_state import DecisionState


def decide_erase_worker(state: DecisionState, command: EraseWorker) -> list[NewEvent]:
    """Delete a worker's personal data: name, submissions, live updates, reviewers' notes.

    All runs are looked at: data of a worker who is at work in one would keep coming.

    Raises:
        UnknownEntityError: there is no such worker.
        CommandRefusedError: the worker is at work, or a run would still fetch files that the worker uploaded.
    """
    worker = command.worker
    stream = streams.worker(state.workers[streams.worker(worker)].worker)
    agents = [one for one in state.agents.values() if one.worker == worker and one.status in AT_WORK_STATUSES]
    if agents:
        raise CommandRefusedError(
            f"worker-{worker} is still at work: agent-{agents[0].agent} is {agents[0].status.value!r}; "
            "resume its run and let it end, then try again"
        )
    for agent_stream, agent in state.agents.items():
        run = state.task_runs[streams.task_run(streams.run_of(agent_stream))]
        if agent.worker == worker and agent.awaited_files and run.status in RESUMABLE_RUN_STATUSES:
            raise CommandRefusedError(
                f"files of worker-{worker} are still at the server of a run; "
                "resume the run and let it end, then try again"
            )
    onboardings = (one for one in state.onboardings.values() if one.worker == worker)
    if any(one.status in LIVE_ONBOARDING_STATUSES for one in onboardings):
        raise CommandRefusedError(
            f"worker-{worker} is in the onboarding step; resume its run and let it end, then try again"
        )
    return [NewEvent(stream, WorkerErased(reason=command.reason))]
