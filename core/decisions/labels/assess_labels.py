"""Decides whether items get further units, or no more answers, by how sure their labels are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ....events import streams
from ....events.assignment import AnswerModel, AssignmentExtended, AssignmentSettled, LabelEvidence, StopReason
from ....events.ids import TaskRunId
from ....events.unit import UnitCreated, UnitExpired
from ...commands.labels import AssessLabels, ItemAnswers
from ...errors import CommandRefusedError
from ...lifecycles.assignment import AssignmentState, AssignmentStatus
from ...lifecycles.task_run import TaskRunStatus
from ...lifecycles.unit import OPEN_UNIT_STATUSES, UnitState
from ...ports import NewEvent
from ...state.decision_state import DecisionState

#: Reason recorded for units that are withdrawn.
NOT_NEEDED = "the label is settled without it"


def decide_assess_labels(state: DecisionState, command: AssessLabels) -> list[NewEvent]:
    """Give items further units, or no more answers; nothing for those that wait for answers, or if the run is not live.

    Units that are open count as if they were answered: no more are opened than are missing then. An item is settled
    once nobody works on it any more; further units that nobody has started are withdrawn with that. A label that a
    reviewer has decided is settled whatever the answers, until the decision is taken back.

    Raises:
        UnknownEntityError: there is no such run.
        CommandRefusedError: the numbers of the command do not fit together.
    """
    run = command.task_run
    if state.task_runs[streams.task_run(run)].status is not TaskRunStatus.LIVE:
        return []
    if not command.is_sound:
        raise CommandRefusedError(f"the labels of run {run} cannot be assessed: the numbers do not fit together")
    once = {item.assignment: item for item in command.items}
    return [event for item in once.values() for event in _assessed(state, command, item)]


def _assessed(state: DecisionState, command: AssessLabels, item: ItemAnswers) -> Iterator[NewEvent]:
    run, rule = command.task_run, command.rule
    stream = streams.assignment(run, item.assignment)
    assignment = state.assignments.get(stream)
    if assignment is None or item.agents != state.counted_agents(run, item.assignment):
        return
    units = state.units_of_assignment(run, item.assignment)
    open_units = [unit for unit in units if unit.status in OPEN_UNIT_STATUSES]
    evidence = _evidence(command, item)
    wanted = command.model.further_answers(evidence.counts, item.answers.count(None), rule)
    decided = assignment.label_of(command.question)
    is_decided = decided is not None and not decided.is_taken_back
    if wanted == 0 or is_decided:
        yield from _settled(run, stream, assignment, open_units, evidence, is_decided=is_decided)
        return
    missing = wanted - len(open_units)
    if 0 < missing <= len(item.further):
        further = item.further[:missing]
        opened = tuple(plan.unit for plan in further)
        yield NewEvent(stream, AssignmentExtended(evidence=evidence, units=opened, open_units=len(open_units)))
        for number, plan in enumerate(further, start=len(units)):
            created = UnitCreated(unit=plan.unit, assignment=item.assignment, index=number, pay_cents=plan.pay_cents)
            yield NewEvent(streams.unit(run, plan.unit), created)
    surplus = len(item.agents) + len(open_units) - rule.most
    if surplus > 0:
        # A verdict was reversed after its replacement was opened.
        yield from _withdrawal(run, _unstarted(assignment, open_units)[-surplus:])


def _settled(
    run: TaskRunId,
    stream: str,
    assignment: AssignmentState,
    open_units: list[UnitState],
    evidence: LabelEvidence,
    *,
    is_decided: bool,
) -> Iterator[NewEvent]:
    unstarted = _unstarted(assignment, open_units)
    is_known = assignment.status is AssignmentStatus.SETTLED and assignment.counted == evidence.agents
    if len(unstarted) < len(open_units) or (is_known and not unstarted):
        return
    is_sure = evidence.posterior >= evidence.confidence and sum(evidence.counts) >= evidence.least
    by = StopReason.DECIDED if is_decided else StopReason.CONFIDENCE if is_sure else StopReason.MAXIMUM
    withdrawn = tuple(unit.unit for unit in unstarted)
    yield NewEvent(stream, AssignmentSettled(evidence=evidence, by=by, withdrawn=withdrawn))
    yield from _withdrawal(run, unstarted)


def _unstarted(assignment: AssignmentState, open_units: list[UnitState]) -> list[UnitState]:
    """Return the open units that a decision opened and nobody has; not those that the data or a person asked for."""
    return [unit for unit in open_units if unit.agent is None and unit.unit in assignment.further]


def _withdrawal(run: TaskRunId, units: list[UnitState]) -> Iterator[NewEvent]:
    return (NewEvent(streams.unit(run, unit.unit), UnitExpired(reason=NOT_NEEDED)) for unit in units)


def _evidence(command: AssessLabels, item: ItemAnswers) -> LabelEvidence:
    found = Counter(item.answers)
    counts = tuple(found[number] for number in range(len(command.classes)))
    return LabelEvidence(
        agents=item.agents,
        counts=counts,
        label=command.classes[counts.index(max(counts))],
        posterior=command.model.posterior(counts),
        confidence=command.rule.confidence,
        least=command.rule.least,
        most=command.rule.most,
        model=AnswerModel.EQUAL_WORKERS,
        accuracy=command.accuracy,
        estimated_from=command.estimated_from,
    )
