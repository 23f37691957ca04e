"""Decides on a worker's consent to a run: giving, refusing and withdrawing it."""

from __future__ import annotations

from ....events import streams
from ....events.engagement import ConsentGiven, ConsentRefused, ConsentWithdrawn
from ....events.ids import TaskRunId, WorkerId
from ...commands.admission import RecordConsent, WithdrawConsent
from ...errors import CommandRefusedError
from ...lifecycles.agent import AgentStatus
from ...lifecycles.onboarding import LIVE_ONBOARDING_STATUSES
from ...lifecycles.worker import WorkerStatus
from ...ports import NewEvent
from ...state.decision_state import DecisionState
from ..worker_events import arrival_events


def decide_record_consent(state: DecisionState, command: RecordConsent) -> list[NewEvent]:
    """Record whether a worker agrees to the run's text of consent; nothing if that is recorded already.

    Raises:
        UnknownEntityError: there is no such run.
        CommandRefusedError: the run asks for no consent, or for consent to another text.
    """
    run, version = command.task_run, command.version
    wanted = state.task_runs[streams.task_run(run)].consent
    if not wanted or wanted != version:
        raise CommandRefusedError(f"run {run} does not ask for consent to this version of a text")
    stream = streams.engagement(run, command.worker)
    engagement = state.engagements.get(stream)
    has = engagement.consent if engagement else None
    if command.given and has == version:
        return []
    event = ConsentGiven(version=version) if command.given else ConsentRefused(version=version)
    return [*arrival_events(state, run, command.worker), NewEvent(stream, event)]


def decide_withdraw_consent(state: DecisionState, command: WithdrawConsent) -> list[NewEvent]:
    """Withdraw a worker's consent; repeated, it deletes what has come since.

    Raises:
        UnknownEntityError: the worker was never in the run.
        CommandRefusedError: the worker has given no consent, is at work, or has work without a verdict.
    """
    run, worker = command.task_run, command.worker
    stream = streams.engagement(run, worker)
    engagement = state.engagements[stream]
    if engagement.consent is None and not engagement.has_withdrawn:
        raise CommandRefusedError(f"worker-{worker} has given no consent in run {run} that could be withdrawn")
    _check_not_at_work(state, run, worker)
    if engagement.has_withdrawn and not command.payloads:
        return []
    return [NewEvent(stream, ConsentWithdrawn(reason=command.reason, payloads=command.payloads))]


def check_consent(state: DecisionState, run: TaskRunId, worker: WorkerId) -> None:
    """Check that work of a worker may be looked at.

    Raises:
        CommandRefusedError: the run needs consent, and the worker has not given it, or has withdrawn it.
    """
    if not state.task_runs[streams.task_run(run)].consent:
        return
    engagement = state.engagements.get(streams.engagement(run, worker))
    if engagement is None or engagement.consent is None:
        raise CommandRefusedError(
            f"worker-{worker} does not consent to run {run}: the work is neither reviewed nor used; "
            "a soft rejection pays for it"
        )


def check_kept(state: DecisionState, run: TaskRunId, worker: WorkerId) -> None:
    """Check that what a worker's page sends may be kept: it can arrive long after it was sent.

    Raises:
        CommandRefusedError: the worker was erased, or has withdrawn the consent.
    """
    if state.workers[streams.worker(worker)].status is WorkerStatus.ERASED:
        raise CommandRefusedError(f"worker-{worker} was erased: nothing is kept")
    check_not_withdrawn(state, run, worker)


def check_not_withdrawn(state: DecisionState, run: TaskRunId, worker: WorkerId) -> None:
    """Check that a worker has not withdrawn the consent to a run.

    Raises:
        CommandRefusedError: the worker has.
    """
    engagement = state.engagements.get(streams.engagement(run, worker))
    if engagement is not None and engagement.has_withdrawn:
        raise CommandRefusedError(f"worker-{worker} has withdrawn the consent to run {run}: nothing is kept")


def _check_not_at_work(state: DecisionState, run: TaskRunId, worker: WorkerId) -> None:
    if state.engagements[streams.engagement(run, worker)].live:
        raise CommandRefusedError(f"worker-{worker} is at work in run {run}: the unit has to be returned first")
    onboardings = (one for stream, one in state.onboardings.items() if streams.run_of(stream) == run)
    if any(one.worker == worker and one.status in LIVE_ONBOARDING_STATUSES for one in onboardings):
        raise CommandRefusedError(f"worker-{worker} is in the onboarding of run {run}, which has to end first")
    agents = (agent for stream, agent in state.agents.items() if streams.run_of(stream) == run)
    if any(agent.worker == worker and agent.status is AgentStatus.COMPLETED for agent in agents):
        raise CommandRefusedError(f"work of worker-{worker} in run {run} has no verdict, and so no pay, yet")
