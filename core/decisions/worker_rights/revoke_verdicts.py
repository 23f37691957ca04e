"""Decides what no longer counts against a worker when a function of the task's code turns out to have been at fault."""

from __future__ import annotations

from collections.abc import Iterator

from ....events import streams
from ....events.engagement import VerdictsRevoked
from ....events.ids import QualificationId
from ....events.worker import QualificationChanged, QualificationRevoked
from ...commands.admission import GoldQualifications, RevokeVerdicts
from ...lifecycles.engagement import EXCLUSIONS, ON_SUBMITTED, Evaluation
from ...lifecycles.unit import UnitStatus
from ...lifecycles.worker import WorkerState, WorkerStatus
from ...ports import NewEvent
from ...state.decision_state import DecisionState
from ..evaluate_worker import GOLD

#: Functions whose verdicts can be revoked.
VALIDATE_ONBOARDING = "validate_onboarding"
WORKER_QUALIFIES = "worker_qualifies"
REVOCABLE = (VALIDATE_ONBOARDING, ON_SUBMITTED, "worker_can_do_unit", WORKER_QUALIFIES)


def decide_revoke_verdicts(state: DecisionState, command: RevokeVerdicts) -> list[NewEvent]:
    """Let what a function said against a worker in a run not count, with all its consequences.

    Submissions that nobody has reviewed are judged again by the function. Returns nothing if it said nothing against
    the worker.
    """
    run, name = command.task_run, command.callback
    stream = streams.engagement(run, command.worker)
    engagement = state.engagements.get(stream)
    if engagement is None:
        return []
    refused = [unit for (callback, unit), answer in engagement.answers.items() if callback == name and answer is False]
    evaluations = {agent: one for agent, one in engagement.evaluations.items() if one.unit in refused}
    reviewed = tuple(
        agent
        for agent, one in evaluations.items()
        if state.units[streams.unit(run, one.unit)].status is not UnitStatus.COMPLETED
    )
    worker = state.workers[streams.worker(command.worker)]
    qualifications = list(_qualification_events(worker, command, list(evaluations.values())))
    assessment = engagement.assessments.get(name)
    is_excluded = engagement.excluded is not None and engagement.excluded == EXCLUSIONS.get(name)
    if not (refused or qualifications or is_excluded or (assessment is not None and not assessment.answer)):
        return []
    revoked = VerdictsRevoked(callback=name, reason=command.reason, units=tuple(refused), agents=reviewed)
    return [NewEvent(stream, revoked), *qualifications]


def _qualification_events(
    worker: WorkerState, command: RevokeVerdicts, evaluations: list[Evaluation]
) -> Iterator[NewEvent]:
    if worker.status is WorkerStatus.ERASED:
        return
    held, stream = worker.qualifications, streams.worker(worker.worker)
    for qualification in _granted_for_failing(command):
        if qualification in held and (qualification != command.onboarding or held[qualification] == 0):
            yield NewEvent(stream, QualificationRevoked(qualification=qualification, reason=command.reason))
    wrong = sum(one.kind == GOLD for one in evaluations)
    golds = command.golds
    if wrong and golds is not None and golds.wrong in held:
        yield NewEvent(stream, QualificationChanged(qualification=golds.wrong, value=max(held[golds.wrong] - wrong, 0)))


def _granted_for_failing(command: RevokeVerdicts) -> Iterator[QualificationId]:
    """Yield the qualifications by which a verdict of the function keeps its worker away."""
    golds: GoldQualifications | None = command.golds
    if command.callback == VALIDATE_ONBOARDING and command.onboarding is not None:
        yield command.onboarding
    if command.callback == ON_SUBMITTED and command.screening is not None:
        yield command.screening.failed
    if command.callback in (ON_SUBMITTED, WORKER_QUALIFIES) and golds is not None:
        yield golds.disqualified
