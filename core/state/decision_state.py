"""In-memory state that decisions read: every entity's state plus lookup indexes, updated event by event.

An index answers in a time that does not depend on the size of a run: which unit is on offer, what keeps a run open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ...events import streams
from ...events.agent import (
    AgentAccepted,
    AgentApproved,
    AgentBonusGranted,
    AgentExpired,
    AgentModelReplied,
    AgentRejected,
    AgentSoftRejected,
    AgentUpdateReceived,
)
from ...events.assignment import AssignmentCreated, AssignmentExtended, AssignmentSettled
from ...events.base import Event
from ...events.engagement import (
    AllWorkEnded,
    CallbackAnswered,
    VerdictsRevoked,
    VisitAdmitted,
    WorkEnded,
    WorkStarted,
)
from ...events.ids import AgentId, AssignmentId, ProjectId, QualificationId, RequesterId, TaskId, TaskRunId, WorkerId
from ...events.onboarding import OnboardingReturned, OnboardingStarted, OnboardingUpdateReceived
from ...events.payment import PaymentOwed, PaymentWithdrawn
from ...events.records import (
    ProjectCreated,
    QualificationCreated,
    RequesterRegistered,
    TaskRegistered,
)
from ...events.task_run import CallbackFailed, TaskRunBudgetChanged, TaskRunCreated
from ...events.worker import WorkerErased, WorkerRegistered
from ..lifecycles.agent import AGENT, AT_WORK_STATUSES, AgentRecord, AgentStatus
from ..lifecycles.assignment import AssignmentStatus
from ..lifecycles.engagement import ON_SUBMITTED
from ..lifecycles.onboarding import LIVE_ONBOARDING_STATUSES, ONBOARDING, OnboardingRecord, OnboardingStatus
from ..lifecycles.unit import OPEN_UNIT_STATUSES, UNIT, UnitState, UnitStatus
from ..lifecycles.worker import WorkerStatus
from .budget import RESERVING_UNIT_STATUSES, Budget
from .entity_states import EntityStates
from .fair_pay import TimePay
from .run_index import RunIndex, RunIndexes

#: Statuses of units whose answers count for a label. Rejected work does not, nor work that was left out of the data.
COUNTED_UNIT_STATUSES = frozenset({UnitStatus.COMPLETED, UnitStatus.ACCEPTED})


class DecisionState(EntityStates):
    """Entity states with lookup indexes. A new attribute belongs into its snapshot, too.

    Attributes:
        runs: the indexes of each run.
        workers_by_identity: workers by the pseudonym of provider and name.
        runs_of_task: runs of each task, the oldest first.
        by_token: streams of the agents and onboarding agents of each run by the token of their page.
        update_ids: the ids of the live updates from the page of each agent at work.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runs = RunIndexes()
        self.workers_by_identity: dict[str, WorkerId] = {}
        self.by_token: dict[TaskRunId, dict[str, str]] = {}
        self.projects_by_name: dict[str, ProjectId] = {}
        self.tasks_by_name: dict[str, TaskId] = {}
        self.runs_of_task: dict[TaskId, list[TaskRunId]] = {}
        self.requesters_by_name: dict[tuple[str, str], RequesterId] = {}
        self.qualifications_by_name: dict[str, QualificationId] = {}
        self.update_ids: dict[str, set[str]] = {}

    def runs_of(self, task_name: str) -> Sequence[TaskRunId]:
        """Return the runs of the task of that name, oldest first; none if there is no such task."""
        task = self.tasks_by_name.get(task_name)
        return () if task is None else self.runs_of_task.get(task, ())

    def evolve(self, stream: str, event: Event) -> None:
        """Apply the next event of a stream to the entity states and the indexes."""
        kind = type(event)
        if kind in UNIT.events:
            before = self.units.get(stream)
            super().evolve(stream, event)
            unit = self.units[stream]
            self._index_unit(self.runs.of_stream(stream), before, unit)
            counted = before is not None and before.status in COUNTED_UNIT_STATUSES
            if counted is not (unit.status in COUNTED_UNIT_STATUSES):
                self._index_label(streams.run_of(stream), unit.assignment)
            return
        super().evolve(stream, event)
        if kind in AGENT.events:
            self._index_agent(stream, event)
        elif kind in ONBOARDING.events:
            self._index_onboarding(stream, event)
        else:
            self._index_record(stream, event)

    def highest_ids(self) -> dict[str, int]:
        """Return the largest id in each category of streams. Takes time: every stream is looked at."""
        highest: dict[str, int] = {}
        for stream in self.versions:
            category, number = streams.category_of(stream), streams.number_of(stream)
            if number > highest.get(category, 0):
                highest[category] = number
        return highest

    def _index_unit(self, index: RunIndex, before: UnitState | None, unit: UnitState) -> None:
        """Index a unit by its present status; `before` is None for a new one."""
        units = index.units_by_status
        units[unit.status] = units.get(unit.status, 0) + 1
        if unit.index < 0:
            made = before is None
            was_expired = before is not None and before.status is UnitStatus.EXPIRED
            expired = (unit.status is UnitStatus.EXPIRED) - was_expired
            index.evaluations_made[unit.index] = index.evaluations_made.get(unit.index, 0) + made
            index.evaluations_expired[unit.index] = index.evaluations_expired.get(unit.index, 0) + expired
        if before is None:
            index.units_of.setdefault(unit.assignment, []).append(unit.unit)
            index.open_units.add(unit.unit)
            return
        units[before.status] -= 1
        reserves = (unit.status in RESERVING_UNIT_STATUSES) - (before.status in RESERVING_UNIT_STATUSES)
        if reserves:
            index.budget.reserved_cents += reserves * index.budget.cost_of_unit(unit.pay_cents)
        if unit.status in OPEN_UNIT_STATUSES:
            index.open_units.add(unit.unit)
        else:
            index.open_units.discard(unit.unit)
        if unit.status is UnitStatus.LAUNCHED and unit.index >= 0:
            index.offered[unit.unit] = unit.assignment
            if before.status is UnitStatus.ASSIGNED:
                index.released[unit.unit] = None
        else:
            index.offered.pop(unit.unit, None)
            index.released.pop(unit.unit, None)
        if unit.agent is None:
            index.agent_of_unit.pop(unit.unit, None)
        else:
            index.agent_of_unit[unit.unit] = unit.agent

    def _index_label(self, run: TaskRunId, assignment: AssignmentId) -> None:
        """Index an assignment as settled if its label was settled by the answers that count now."""
        state = self.assignments[streams.assignment(run, assignment)]
        if state.status is AssignmentStatus.SETTLED:
            settled = self.runs[run].settled
            if state.counted == self.counted_agents(run, assignment):
                settled.add(assignment)
            else:
                settled.discard(assignment)

    def _index_agent(self, stream: str, event: Event) -> None:
        agent = self.agents[stream]
        index = self.runs.of_stream(stream)
        if isinstance(event, AgentAccepted):
            index.agents_of_worker.setdefault(agent.worker, []).append(agent.agent)
            self.note_token(stream, agent.token)
            index.by_registration[agent.registration] = stream
        if isinstance(event, AgentUpdateReceived):
            index.count_update(event.update.size)
        if isinstance(event, AgentModelReplied):
            index.budget.commit_model(event.cost_micros, event.cost_cents)
        if isinstance(event, AgentApproved | AgentSoftRejected | AgentRejected) and event.reviewer is not None:
            index.reviewers.add(event.reviewer)
        if isinstance(event, AgentBonusGranted) and event.worked_seconds is not None:
            index.paid_for_time.add(agent.agent)
        if agent.awaited_files:
            index.awaiting_files.add(agent.agent)
        else:
            index.awaiting_files.discard(agent.agent)
        if agent.status is AgentStatus.WAITING:
            index.waiting.setdefault(agent.agent, agent.assignment)
        else:
            index.waiting.pop(agent.agent, None)
        if agent.status in AT_WORK_STATUSES:
            index.live_agents.add(agent.agent)
            if isinstance(event, AgentUpdateReceived):
                self.update_ids.setdefault(stream, set()).add(event.update_id)
        else:
            index.live_agents.discard(agent.agent)
            self.update_ids.pop(stream, None)
            if isinstance(event, AgentExpired) and event.may_retry:
                _forget_registration(index, agent.registration, stream)

    def _index_onboarding(self, stream: str, event: Event) -> None:
        agent = self.onboardings[stream]
        index = self.runs.of_stream(stream)
        if isinstance(event, OnboardingStarted):
            self.note_token(stream, agent.token)
            index.by_registration[agent.registration] = stream
        if isinstance(event, OnboardingUpdateReceived):
            index.count_update(event.update.size)
        if agent.status in LIVE_ONBOARDING_STATUSES:
            index.live_onboardings.add(agent.agent)
            if isinstance(event, OnboardingUpdateReceived):
                self.update_ids.setdefault(stream, set()).add(event.update_id)
        else:
            index.live_onboardings.discard(agent.agent)
            self.update_ids.pop(stream, None)
            if isinstance(event, OnboardingReturned) and event.may_retry:
                _forget_registration(index, agent.registration, stream)

    def _index_record(self, stream: str, event: Event) -> None:
        match event:
            case AssignmentCreated():
                self._index_assignment(self.runs.of_stream(stream), event)
            case AssignmentExtended():
                self.runs.of_stream(stream).settled.discard(self.assignments[stream].created.assignment)
            case AssignmentSettled():
                self.runs.of_stream(stream).settled.add(self.assignments[stream].created.assignment)
            case TaskRunCreated():
                self.runs_of_task.setdefault(event.task, []).append(event.task_run)
                index = self.runs.of_stream(stream)
                index.budget = Budget(event.budget_cents, event.fee_percent, event.bonus_limit_cents)
                index.time_pay = TimePay(event.pay_for_time_cents, event.pay_for_time_limit_cents)
            case TaskRunBudgetChanged():
                self.runs.of_stream(stream).budget.limit_cents = event.budget_cents
            case CallbackFailed():
                self._index_failure(stream, event)
            case VisitAdmitted():
                self._index_visit(self.runs.of_stream(stream), self.engagements[stream].worker, event)
            case WorkStarted():
                self.runs.of_stream(stream).see_data(self.engagements[stream].worker, event.assignment)
            case WorkEnded() | AllWorkEnded():
                if event.may_retry is not None:
                    self.runs.of_stream(stream).unsee_data(self.engagements[stream].worker, event.may_retry)
            case CallbackAnswered():
                self.runs.of_stream(stream).unjudged.pop(event.unit, None)
            case VerdictsRevoked():
                self._forget_failed_onboardings(stream)
            case PaymentOwed() | PaymentWithdrawn():
                budget, sign = self.runs.of_stream(stream).budget, 1 if isinstance(event, PaymentOwed) else -1
                budget.committed_cents += sign * budget.with_fee(event.amount_cents)
            case WorkerRegistered():
                self.workers_by_identity[event.identity] = event.worker
            case WorkerErased():
                for identity in [one for one, worker in self.workers_by_identity.items() if self._is_erased(worker)]:
                    del self.workers_by_identity[identity]
            case ProjectCreated():
                self.projects_by_name[event.name] = event.project
            case TaskRegistered():
                self.tasks_by_name[event.name] = event.task
            case RequesterRegistered():
                self.requesters_by_name[event.provider_type, event.name] = event.requester
            case QualificationCreated():
                self.qualifications_by_name[event.name] = event.qualification
            case _:
                pass

    def _index_visit(self, index: RunIndex, worker: WorkerId, visit: VisitAdmitted) -> None:
        index.admitted.add(worker)
        if visit.invitation is not None:
            index.invitations[visit.invitation] = visit.session

    def _index_failure(self, stream: str, failed: CallbackFailed) -> None:
        run, index = streams.run_of(stream), self.runs.of_stream(stream)
        unit = None if failed.unit is None else self.units.get(streams.unit(run, failed.unit))
        if failed.function == ON_SUBMITTED and unit is not None and unit.index < 0:
            index.unjudged[unit.unit] = unit.index
        if failed.assignment is not None and failed.agents:
            index.failed_assignments.add(failed.assignment)

    def _forget_failed_onboardings(self, stream: str) -> None:
        """Let the pages on which a worker failed an onboarding have another one."""
        index, worker = self.runs.of_stream(stream), self.engagements[stream].worker
        for registration, agent_stream in list(index.by_registration.items()):
            onboarding = self.onboardings.get(agent_stream)
            if onboarding and onboarding.worker == worker and onboarding.status is OnboardingStatus.REJECTED:
                del index.by_registration[registration]

    def _index_assignment(self, index: RunIndex, created: AssignmentCreated) -> None:
        if 0 <= created.number < len(index.assignments):
            first = index.repeats[created.assignment] = index.assignments[created.number]
            index.repeated_by.setdefault(first, []).append(created.assignment)
        elif created.number >= 0:
            index.assignments.append(created.assignment)

    def has_update(self, stream: str, update_id: str) -> bool:
        """Return whether an agent's page sent a live update before; known as long as the agent is at work."""
        return bool(update_id) and update_id in self.update_ids.get(stream, ())

    def _is_erased(self, worker: WorkerId) -> bool:
        return self.workers[streams.worker(worker)].status is WorkerStatus.ERASED

    def counted_units(self, run: TaskRunId, worker: WorkerId) -> int:
        """Return how many units of a worker count against the maximum of a run: those in the run, or in its task.

        Raises:
            UnknownEntityError: there is no such run.
        """
        state = self.task_runs[streams.task_run(run)]
        runs = self.runs_of_task[state.task] if state.maximum_is_per_task else (run,)
        engagements = (self.engagements.get(streams.engagement(one, worker)) for one in runs)
        return sum(engagement.counted for engagement in engagements if engagement is not None)

    def units_of_assignment(self, run: TaskRunId, assignment: AssignmentId) -> list[UnitState]:
        """Return the units of an assignment in order."""
        return [self.units[streams.unit(run, unit)] for unit in self.runs[run].units_of.get(assignment, ())]

    def counted_agents(self, run: TaskRunId, assignment: AssignmentId) -> tuple[AgentId, ...]:
        """Return the agents whose work on an assignment counts for its label, in the order of its units."""
        units = self.units_of_assignment(run, assignment)
        return tuple(unit.agent for unit in units if unit.status in COUNTED_UNIT_STATUSES and unit.agent is not None)

    def agents_of_assignment(self, run: TaskRunId, assignment: AssignmentId) -> Iterator[AgentRecord]:
        """Yield the agents that have the units of an assignment now, in the order of the units."""
        index = self.runs[run]
        for unit in index.units_of.get(assignment, ()):
            if unit in index.agent_of_unit:
                yield self.agents[streams.agent(run, index.agent_of_unit[unit])]

    def agent_by_token(self, run: TaskRunId, token: str) -> AgentRecord | OnboardingRecord | None:
        """Return the agent or onboarding agent of a run with a token; None if there is none."""
        stream = self.by_token.get(run, {}).get(token)
        return None if stream is None else self.agents.get(stream) or self.onboardings.get(stream)

    def note_token(self, stream: str, token: str) -> None:
        """Note the token of the page of an agent or onboarding agent."""
        self.by_token.setdefault(streams.run_of(stream), {})[token] = stream

    def tokens_of(self, run: TaskRunId) -> Collection[str]:
        """Return the tokens of all agents and onboarding agents of a run."""
        return self.by_token.get(run, {}).keys()

    def agent_by_registration(self, run: TaskRunId, registration: str) -> AgentRecord | OnboardingRecord | None:
        """Return the latest agent or onboarding agent of a page.

        Raises:
            UnknownEntityError: there is no such run.
        """
        stream = self.runs[run].by_registration.get(registration)
        return None if stream is None else self.agents.get(stream) or self.onboardings.get(stream)


def _forget_registration(index: RunIndex, registration: str, stream: str) -> None:
    """Let the page of an agent that ended get another one."""
    if index.by_registration.get(registration) == stream:
        del index.by_registration[registration]
