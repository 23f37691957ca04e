"""The world with the indexes that decisions need, kept as events come in.

An index answers in a time that does not depend on how large a run is: which unit is on offer, which agent a page
belongs to, what keeps a run open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from ...events import streams
from ...events.agent import AgentAccepted, AgentUpdateReceived
from ...events.assignment import AssignmentCreated
from ...events.base import Event
from ...events.directory import QualificationCreated, RequesterRegistered, TaskRegistered
from ...events.ids import (
    AgentId,
    AssignmentId,
    OnboardingAgentId,
    QualificationId,
    RequesterId,
    TaskId,
    TaskRunId,
    UnitId,
    WorkerId,
)
from ...events.onboarding import OnboardingStarted, OnboardingUpdateReceived
from ...events.payment import PaymentOwed
from ...events.task_run import TaskRunCreated
from ...events.worker import WorkerErased, WorkerRegistered
from ..lifecycles.agent import AGENT, AT_WORK_STATUSES, AgentRecord
from ..lifecycles.onboarding import LIVE_ONBOARDING_STATUSES, ONBOARDING, OnboardingRecord
from ..lifecycles.unit import OPEN_UNIT_STATUSES, UNIT, UnitState, UnitStatus
from ..lifecycles.worker import WorkerStatus
from .budget import RESERVING_UNIT_STATUSES, Budget
from .entity_states import EntityStates

#: Indexes of units that tell something of a worker; such a unit is made for the worker, and never on offer.
SCREENING_UNIT_INDEX = -1
GOLD_UNIT_INDEX = -2
COMPENSATION_UNIT_INDEX = -3


class RunIndex(msgspec.Struct):
    """What is looked up within one run."""

    #: Ordinary units on offer, the longest offered first.
    offered: dict[UnitId, AssignmentId] = {}
    #: Units that somebody still has to do something for.
    open_units: set[UnitId] = set()
    #: Assignments in the order of the run's data, without those that are made for one worker or made once more.
    assignments: list[AssignmentId] = []
    #: The assignment of the run's data that another one is made after, because it was not finished.
    repeats: dict[AssignmentId, AssignmentId] = {}
    units_of: dict[AssignmentId, list[UnitId]] = {}
    agent_of_unit: dict[UnitId, AgentId] = {}
    live_agents: set[AgentId] = set()
    live_onboardings: set[OnboardingAgentId] = set()
    #: Stream of the agent that a page's registration stands for: the latest one.
    by_registration: dict[str, str] = {}
    #: Count of units by status.
    units_by_status: dict[UnitStatus, int] = {}
    #: Units by which workers are evaluated, by index: how many were made, and how many of them expired.
    evaluations_made: dict[int, int] = {}
    evaluations_expired: dict[int, int] = {}
    #: The run's money, and what of it is spoken for.
    budget: Budget = msgspec.field(default_factory=Budget)

    def evaluations(self, unit_index: int) -> int:
        """How many units of a negative index there are that are, or may have to be, paid for."""
        return self.evaluations_made.get(unit_index, 0) - self.evaluations_expired.get(unit_index, 0)

    @property
    def has_open_work(self) -> bool:
        """Whether a unit is open or somebody is at work on one."""
        return bool(self.open_units or self.live_agents)

    @property
    def is_idle(self) -> bool:
        """Whether no unit is open and nobody is at work."""
        return not (self.open_units or self.live_agents or self.live_onboardings)


class DecisionState(EntityStates):
    """The world, indexed.

    Attributes:
        runs: the index of each run.
        workers_by_identity: the worker a pseudonym of provider and name stands for.
        by_token: the stream of the agent or onboarding agent that a token of the wire stands for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runs: defaultdict[TaskRunId, RunIndex] = defaultdict(RunIndex)
        self.workers_by_identity: dict[str, WorkerId] = {}
        self.by_token: dict[str, str] = {}
        self.tasks_by_name: dict[str, TaskId] = {}
        self.requesters_by_name: dict[tuple[str, str], RequesterId] = {}
        self.qualifications_by_name: dict[str, QualificationId] = {}
        self._update_ids: dict[str, set[str]] = {}

    def evolve(self, stream: str, event: Event) -> None:
        """Carry the next event of a stream into the world and its indexes."""
        kind = type(event)
        if kind in UNIT.events:
            before = self.units.get(stream)
            super().evolve(stream, event)
            self._index_unit(self.runs[streams.run_of(stream)], before, self.units[stream])
            return
        super().evolve(stream, event)
        if kind in AGENT.events:
            self._index_agent(stream, event)
        elif kind in ONBOARDING.events:
            self._index_onboarding(stream, event)
        else:
            self._index_record(stream, event)

    def highest_ids(self) -> dict[str, int]:
        """The largest id seen in each category of streams. Every stream is looked at."""
        highest: defaultdict[str, int] = defaultdict(int)
        for stream in self.versions:
            category, _, number = streams.parse(stream)
            highest[category] = max(highest[category], number)
        return highest

    def _index_unit(self, index: RunIndex, before: UnitState | None, unit: UnitState) -> None:
        """Count a unit where it is now; `before` is None for one that is new."""
        units = index.units_by_status
        units[unit.status] = units.get(unit.status, 0) + 1
        if unit.index < 0:
            made, expired = before is None, unit.status is UnitStatus.EXPIRED
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
        else:
            index.offered.pop(unit.unit, None)
        if unit.agent is None:
            index.agent_of_unit.pop(unit.unit, None)
        else:
            index.agent_of_unit[unit.unit] = unit.agent

    def _index_agent(self, stream: str, event: Event) -> None:
        agent = self.agents[stream]
        index = self.runs[streams.run_of(stream)]
        if isinstance(event, AgentAccepted):
            self.by_token[agent.token] = stream
            index.by_registration[agent.registration] = stream
        if agent.status in AT_WORK_STATUSES:
            index.live_agents.add(agent.agent)
            if isinstance(event, AgentUpdateReceived):
                self._update_ids.setdefault(stream, set()).add(event.update_id)
        else:
            index.live_agents.discard(agent.agent)
            self._update_ids.pop(stream, None)

    def _index_onboarding(self, stream: str, event: Event) -> None:
        agent = self.onboardings[stream]
        index = self.runs[streams.run_of(stream)]
        if isinstance(event, OnboardingStarted):
            self.by_token[agent.token] = stream
            index.by_registration[agent.registration] = stream
        if agent.status in LIVE_ONBOARDING_STATUSES:
            index.live_onboardings.add(agent.agent)
            if isinstance(event, OnboardingUpdateReceived):
                self._update_ids.setdefault(stream, set()).add(event.update_id)
        else:
            index.live_onboardings.discard(agent.agent)
            self._update_ids.pop(stream, None)

    def _index_record(self, stream: str, event: Event) -> None:
        match event:
            case AssignmentCreated():
                self._index_assignment(self.runs[streams.run_of(stream)], event)
            case TaskRunCreated():
                self.runs[event.task_run].budget = Budget(
                    event.budget_cents, event.fee_percent, event.bonus_limit_cents
                )
            case PaymentOwed():
                budget = self.runs[streams.run_of(stream)].budget
                budget.committed_cents += budget.with_fee(event.amount_cents)
            case WorkerRegistered():
                self.workers_by_identity[event.identity] = event.worker
            case WorkerErased():
                erased = {identity for identity, worker in self.workers_by_identity.items() if self._is_erased(worker)}
                for identity in erased:
                    del self.workers_by_identity[identity]
            case TaskRegistered():
                self.tasks_by_name[event.name] = event.task
            case RequesterRegistered():
                self.requesters_by_name[event.provider_type, event.name] = event.requester
            case QualificationCreated():
                self.qualifications_by_name[event.name] = event.qualification
            case _:
                pass

    def _index_assignment(self, index: RunIndex, created: AssignmentCreated) -> None:
        if 0 <= created.number < len(index.assignments):
            index.repeats[created.assignment] = index.assignments[created.number]
        elif created.number >= 0:
            index.assignments.append(created.assignment)

    def has_update(self, stream: str, update_id: str) -> bool:
        """Whether an agent's page has sent a live update before; known as long as the agent is at work."""
        return bool(update_id) and update_id in self._update_ids.get(stream, ())

    def _is_erased(self, worker: WorkerId) -> bool:
        return self.workers[streams.worker(worker)].status is WorkerStatus.ERASED

    def agents_of_assignment(self, run: TaskRunId, assignment: AssignmentId) -> Iterator[AgentRecord]:
        """The agents that have the units of an assignment now, in the units' order."""
        index = self.runs[run]
        for unit in index.units_of.get(assignment, ()):
            if unit in index.agent_of_unit:
                yield self.agents[streams.agent(run, index.agent_of_unit[unit])]

    def agent_by_token(self, token: str) -> AgentRecord | OnboardingRecord | None:
        """The agent or onboarding agent that a token stands for."""
        stream = self.by_token.get(token)
        return None if stream is None else self.agents.get(stream) or self.onboardings.get(stream)

    def tokens_of(self, run: TaskRunId) -> list[str]:
        """The tokens of all agents and onboarding agents of a run."""
        return [token for token, stream in self.by_token.items() if streams.run_of(stream) == run]

    def agent_by_registration(self, run: TaskRunId, registration: str) -> AgentRecord | OnboardingRecord | None:
        """The agent or onboarding agent that a page's registration stands for."""
        stream = self.runs[run].by_registration.get(registration)
        return None if stream is None else self.agents.get(stream) or self.onboardings.get(stream)
