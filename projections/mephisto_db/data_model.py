"""Mephisto's data model: rows that know the database they were read from, and so lead to what belongs to them.

A row's values are those of the moment in which it was read; whatever has a method is looked up when it is called.
Nothing here writes. What changes something is a command: `Reviewer` for verdicts and workers, `Directory` for names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Self

from ...core.abstractions.agent_state import AgentState
from ...core.lifecycles.unit import UnitStatus
from ...core.lifecycles.worker import WorkerStatus
from . import rows

if TYPE_CHECKING:
    from ...core.abstractions.initialization_data import InitializationData
    from .criteria import EntityId
    from .reader import JsonValue, MephistoDB

#: What an assignment is whose units have different statuses: the first of these that one of them has, else mixed.
_WHERE_IT_STANDS = (UnitStatus.CREATED, UnitStatus.LAUNCHED, UnitStatus.ASSIGNED, UnitStatus.COMPLETED)
MIXED = "mixed"
#: The statuses of an assignment.
ASSIGNMENT_STATUSES = (*(status.value for status in UnitStatus), MIXED)
#: Statuses of units that were paid for, or may have to be.
PAYABLE_UNIT_STATUSES = frozenset(
    status.value
    for status in (
        UnitStatus.LAUNCHED,
        UnitStatus.ASSIGNED,
        UnitStatus.COMPLETED,
        UnitStatus.ACCEPTED,
        UnitStatus.SOFT_REJECTED,
    )
)


class Entity(rows.Row, frozen=True):
    """A row that was read from a database.

    The database is no column: it stands in the `__dict__` that the entities have for it, so that they compare and are
    written as JSON by their columns alone.
    """

    @property
    def db(self) -> MephistoDB:
        """The database that it was read from."""
        db: MephistoDB = self.__dict__["_db"]
        return db

    @classmethod
    def get(cls, db: MephistoDB, db_id: EntityId) -> Self:
        """The one with an id.

        Raises:
            UnknownEntityError: there is none; the nearest id is given.
        """
        return db.get(cls, db_id)

    def read_from(self, db: MephistoDB) -> None:
        """Keep the database it was read from. For the reader."""
        self.__dict__["_db"] = db


class TaskView(Entity, rows.TaskRow, frozen=True, gc=True, dict=True):
    """A kind of work by name."""

    def get_runs(self) -> list[TaskRunView]:
        """Its runs, the oldest first."""
        return self.db.find_task_runs(task_id=self.task_id)

    def get_assignments(self) -> list[AssignmentView]:
        """The assignments of all its runs."""
        return self.db.find_assignments(task_id=self.task_id)

    def get_total_spend(self) -> float:
        """What its units cost, in whole currency; as `TaskRunView.get_total_spend`."""
        return _cost(self.db.find_units(task_id=self.task_id), PAYABLE_UNIT_STATUSES)


class RequesterView(Entity, rows.RequesterRow, frozen=True, gc=True, dict=True):
    """An account at a provider."""

    def get_task_runs(self) -> list[TaskRunView]:
        """The runs under its name."""
        return self.db.find_task_runs(requester_id=self.requester_id)

    def get_total_spend(self) -> float:
        """What the units of its runs cost, in whole currency; as `TaskRunView.get_total_spend`."""
        return _cost(self.db.find_units(requester_id=self.requester_id), PAYABLE_UNIT_STATUSES)


class TaskRunView(Entity, rows.TaskRunRow, frozen=True, gc=True, dict=True):
    """One launch of a task with one configuration."""

    def get_task(self) -> TaskView:
        """The task it is a run of."""
        return self.db.get_task(self.task_id)

    def get_requester(self) -> RequesterView:
        """The account that offers the work."""
        return self.db.get_requester(self.requester_id)

    def get_units(self) -> list[UnitView]:
        """All its units, those for screening and gold too."""
        return self.db.find_units(task_run_id=self.task_run_id)

    def get_assignments(self, status: str | None = None) -> list[AssignmentView]:
        """Its assignments, all or those of a status."""
        found = self.db.find_assignments(task_run_id=self.task_run_id)
        if status is None:
            return found
        statuses = self._status_of_assignments()
        return [assignment for assignment in found if statuses[assignment.assignment_id] == status]

    def get_assignment_statuses(self) -> dict[str, int]:
        """How many of its assignments have each status."""
        counts = Counter(self._status_of_assignments().values())
        return {status: counts[status] for status in ASSIGNMENT_STATUSES}

    def get_is_completed(self) -> bool:
        """Whether it has come to its end; one that failed has not."""
        return self.db.get_task_run(self.task_run_id).is_completed

    def get_total_spend(self) -> float:
        """What its units cost that were paid for or may have to be, in whole currency, without bonuses and fees.

        To the cent, and with what is paid already: `mephisto-es ledger`.
        """
        return _cost(self.get_units(), PAYABLE_UNIT_STATUSES)

    def _status_of_assignments(self) -> dict[int, str]:
        by_assignment: dict[int, list[str]] = {}
        for unit in self.get_units():
            by_assignment.setdefault(unit.assignment_id, []).append(unit.status)
        return {assignment: assignment_status(statuses) for assignment, statuses in by_assignment.items()}


class AssignmentView(Entity, rows.AssignmentRow, frozen=True, gc=True, dict=True):
    """One piece of input data, for one worker or several."""

    def get_task_run(self) -> TaskRunView:
        """The run it belongs to."""
        return self.db.get_task_run(self.task_run_id)

    def get_task(self) -> TaskView:
        """The task it belongs to."""
        return self.db.get_task(self.task_id)

    def get_requester(self) -> RequesterView:
        """The account that offers it."""
        return self.db.get_requester(self.requester_id)

    def get_assignment_data(self) -> InitializationData | None:
        """Its input data; None: it was erased."""
        return self.db.get_assignment_data(self.assignment_id)

    def get_units(self, status: str | None = None) -> list[UnitView]:
        """Its units, all or those of a status."""
        return self.db.find_units(assignment_id=self.assignment_id, status=status)

    def get_agents(self) -> list[AgentView | None]:
        """The agent of each unit; None: nobody has it."""
        return [unit.get_assigned_agent() for unit in self.get_units()]

    def get_workers(self) -> list[WorkerView]:
        """Who has worked on it, or does."""
        return [agent.get_worker() for agent in self.get_agents() if agent is not None]

    def get_status(self) -> str:
        """Where it stands, by its units."""
        return assignment_status(unit.status for unit in self.get_units())

    def get_cost_of_statuses(self, statuses: Collection[str]) -> float:
        """What its units of some statuses cost, in whole currency."""
        return _cost(self.get_units(), statuses)


class UnitView(Entity, rows.UnitRow, frozen=True, gc=True, dict=True):
    """The smallest piece of work."""

    @property
    def db_status(self) -> str:
        """The status it had when it was read."""
        return self.status

    def get_status(self) -> str:
        """Its status now."""
        return self.db.get_unit(self.unit_id).status

    def get_assigned_agent(self) -> AgentView | None:
        """The agent that has it now; None: none has."""
        agent = self.db.get_unit(self.unit_id).agent_id
        return None if agent is None else self.db.get_agent(agent)

    def get_assignment(self) -> AssignmentView:
        """The assignment it is part of."""
        return self.db.get_assignment(self.assignment_id)

    def get_assignment_data(self) -> InitializationData | None:
        """The input data of its assignment; None: it was erased."""
        return self.db.get_assignment_data(self.assignment_id)

    def get_task_run(self) -> TaskRunView:
        """The run it belongs to."""
        return self.db.get_task_run(self.task_run_id)

    def get_task(self) -> TaskView:
        """The task it belongs to."""
        return self.db.get_task(self.task_id)

    def get_requester(self) -> RequesterView:
        """The account that offers it."""
        return self.db.get_requester(self.requester_id)

    def get_pay_amount(self) -> float:
        """What it is worth, in whole currency; `pay_cents` is exact."""
        return self.pay_amount


class WorkerView(Entity, rows.WorkerRow, frozen=True, gc=True, dict=True):
    """A person."""

    def get_agents(self, status: str | None = None) -> list[AgentView]:
        """What it worked on, all or with a status."""
        return self.db.find_agents(worker_id=self.worker_id, status=status)

    def get_qualifications(self) -> dict[str, int]:
        """The qualifications it has, by name."""
        return {
            self.db.get_qualification(held.qualification_id).qualification_name: held.value
            for held in self.db.find_granted_qualifications(worker_id=self.worker_id)
        }

    def get_granted_qualification(self, qualification_name: str) -> rows.GrantedQualificationRow | None:
        """A qualification as it has it; None: it does not."""
        for qualification in self.db.find_qualifications(qualification_name):
            for held in self.db.find_granted_qualifications(
                worker_id=self.worker_id, qualification_id=qualification.qualification_id
            ):
                return held
        return None

    def is_qualified(self, qualification_name: str) -> bool:
        """Whether it has a qualification, with another value than 0."""
        held = self.get_granted_qualification(qualification_name)
        return held is not None and held.value != 0

    def is_disqualified(self, qualification_name: str) -> bool:
        """Whether it has a qualification with the value 0: it was looked at, and failed."""
        held = self.get_granted_qualification(qualification_name)
        return held is not None and held.value == 0

    def is_blocked(self) -> bool:
        """Whether it gets no more work, in any run."""
        return self.db.get_worker(self.worker_id).status == WorkerStatus.BLOCKED.value


class AgentView(Entity, rows.AgentRow, frozen=True, gc=True, dict=True):
    """A worker at work on one unit, or who was."""

    @property
    def db_status(self) -> str:
        """The status it had when it was read."""
        return self.status

    @property
    def state(self) -> AgentState:
        """What it was given and handed in; what was erased is empty."""
        return AgentState(self.db.get_inputs(self.get_unit()) or {}, self.db.get_outputs(self))

    def get_status(self) -> str:
        """Its status now."""
        return self.db.get_agent(self.agent_id).status

    def get_worker(self) -> WorkerView:
        """Who it is."""
        return self.db.get_worker(self.worker_id)

    def get_unit(self) -> UnitView:
        """What it works on."""
        return self.db.get_unit(self.unit_id)

    def get_assignment(self) -> AssignmentView:
        """The assignment that its unit is part of."""
        return self.db.get_assignment(self.assignment_id)

    def get_task_run(self) -> TaskRunView:
        """The run it belongs to."""
        return self.db.get_task_run(self.task_run_id)

    def get_task(self) -> TaskView:
        """The task it belongs to."""
        return self.db.get_task(self.task_id)


class OnboardingAgentView(Entity, rows.OnboardingAgentRow, frozen=True, gc=True, dict=True):
    """A worker in the onboarding of a run, or who was."""

    @property
    def db_status(self) -> str:
        """The status it had when it was read."""
        return self.status

    def get_status(self) -> str:
        """Its status now."""
        return self.db.get_onboarding_agent(self.onboarding_agent_id).status

    def get_worker(self) -> WorkerView:
        """Who it is."""
        return self.db.get_worker(self.worker_id)

    def get_task_run(self) -> TaskRunView:
        """The run it belongs to."""
        return self.db.get_task_run(self.task_run_id)

    def get_task(self) -> TaskView:
        """The task it belongs to."""
        return self.db.get_task(self.task_id)

    def get_outputs(self) -> JsonValue:
        """What it handed in; None: nothing, or it was erased."""
        return None if self.submission is None else self.db.read_json(self.submission)


def assignment_status(unit_statuses: Iterable[str]) -> str:
    """The status of an assignment whose units have these.

    All the same: that. Otherwise the one that most is left to do for, and `mixed` once everything is decided.
    """
    present = set(unit_statuses)
    if len(present) == 1:
        return present.pop()
    return next((status.value for status in _WHERE_IT_STANDS if status.value in present), MIXED)


def _cost(units: Iterable[UnitView], statuses: Collection[str]) -> float:
    return sum(unit.pay_cents for unit in units if unit.status in statuses) / 100
